// SPDX-License-Identifier: Apache-2.0
// A quantized character-level LSTM network: character codes in, logits or characters out.
//
//   s_axis   8-bit character codes; TLAST ends a sequence
//   m_axis   score: each character's logits, four per beat from code 0 on; positions after the vocabulary
//            hold the lowest value; TLAST with the last beat of a sequence.
//            generate: one sampled code per beat, in the low bits; TLAST with the last one.
//   s_axil   registers (hls/engine/registers.py)
//
// This module is the shell: streams, registers, choice of the character and output buffer. Module network_core within it
// computes the network. Parameters and memories come from hls/engine/project.py, which writes the instance of this
// module.
module network_engine #(
    parameter int LAYERS = 2,
    parameter int FIRST_UNITS = 128,
    parameter int NOISE_BITS = 16,
    parameter int NOISE_TABLE_BITS = 14,
    parameter int TEMPERATURE_BITS = 12,
    parameter int SCORE_BITS = 28,       // width of logit + temperature * noise, aligned
    parameter int SCORE_LOGIT_SHIFT = 8,
    parameter int SCORE_NOISE_SHIFT = 0,
    parameter logic [SCORE_BITS-1:0] SCORE_LOSER = '0,       // instead of a logit, after the vocabulary
    parameter logic [25*NOISE_BITS-1:0] NOISE_TAIL = '0,     // by octave
    parameter logic [127:0] RANDOM_INITIAL = '0,
    parameter logic [255:0] IDENTITY = '0,
    `include "network_core_parameters.svh"
) (
    input  logic        clk_i,
    input  logic        rst_i,
    input  logic        s_axis_tvalid,
    output logic        s_axis_tready,
    input  logic [7:0]  s_axis_tdata,
    input  logic        s_axis_tlast,
    output logic        m_axis_tvalid,
    input  logic        m_axis_tready,
    output logic [63:0] m_axis_tdata,
    output logic        m_axis_tlast,
    input  logic        s_axil_awvalid,
    output logic        s_axil_awready,
    input  logic [7:0]  s_axil_awaddr,
    input  logic [2:0]  s_axil_awprot,
    input  logic        s_axil_wvalid,
    output logic        s_axil_wready,
    input  logic [31:0] s_axil_wdata,
    input  logic [3:0]  s_axil_wstrb,
    output logic        s_axil_bvalid,
    input  logic        s_axil_bready,
    output logic [1:0]  s_axil_bresp,
    input  logic        s_axil_arvalid,
    output logic        s_axil_arready,
    input  logic [7:0]  s_axil_araddr,
    input  logic [2:0]  s_axil_arprot,
    output logic        s_axil_rvalid,
    input  logic        s_axil_rready,
    output logic [31:0] s_axil_rdata,
    output logic [1:0]  s_axil_rresp
);
  `include "zynq_lstm_constants.svh"
  `include "zynq_lstm_registers.svh"
  localparam int CODE_BITS = WORD_BITS + 2;
  localparam int FIFO_DEPTH = 2 << WORD_BITS;
  localparam int DEPTH = DSP_DEPTH + LUT_DEPTH;

`ifndef __ICARUS__  // which has no elaboration-time errors
  if (LOGIT_BITS > SIGNAL_BITS || WORD_LOGITS * SIGNAL_BITS != 64) begin : gen_bad_logits
    $error("%m: LOGIT_BITS must be at most SIGNAL_BITS, a quarter of an m_axis beat");
  end
`endif

  // ---- characters
  logic generate_mode, auto_reset, reset_state, stop, accepted, bad_code, busy, generating, sequence_open;
  logic [31:0] length, seed;
  logic seed_write;
  logic [TEMPERATURE_BITS-1:0] temperature;
  logic x_start, x_fresh, x_phase, x_last, x_grant, credit;
  logic [BEAT_BITS-1:0] x_beat;
  logic [X_ADDRESS_BITS-1:0] x_row_address;
  logic [1:0] fresh_by_phase;
  logic output_score, output_sample, output_last;
  logic character_valid, sampled, sampled_last;
  logic [CODE_BITS-1:0] character;
  character_control #(
      .VOCABULARY      (VOCABULARY),
      .BEATS           (FIRST_BEATS),
      .BEAT_BITS       (BEAT_BITS),
      .ROW_ADDRESS_BITS(X_ADDRESS_BITS),
      .CODE_BITS       (CODE_BITS)
  ) u_characters (
      .clk_i,
      .rst_i,
      .s_axis_tvalid,
      .s_axis_tready,
      .s_axis_tdata,
      .s_axis_tlast,
      .generate_i       (generate_mode),
      .auto_reset_i     (auto_reset),
      .length_i         (length),
      .reset_state_i    (reset_state),
      .stop_i           (stop),
      .accepted_o       (accepted),
      .bad_code_o       (bad_code),
      .busy_o           (busy),
      .generating_o     (generating),
      .open_o           (sequence_open),
      .credit_i         (credit),
      .grant_i          (x_grant),
      .start_o          (x_start),
      .beat_o           (x_beat),
      .beat_last_o      (x_last),
      .fresh_o          (x_fresh),
      .phase_o          (x_phase),
      .row_address_o    (x_row_address),
      .fresh_by_phase_o (fresh_by_phase),
      .score_o          (output_score),
      .sample_o         (output_sample),
      .last_o           (output_last),
      .finished_i       (character_valid),
      .sampled_i        (sampled),
      .code_i           (character),
      .sampled_last_o   (sampled_last)
  );

  // ---- network
  logic room, room_taken, word_valid, logits_valid, logits_last, parity_error;
  logic [WORD_BITS-1:0] word;
  logic [4*LOGIT_BITS-1:0] logits;
  network_core #(
      .STAGES(STAGES), .STAGE_BITS(STAGE_BITS), .PIPELINES(PIPELINES),
      .STAGE_PIPELINE(STAGE_PIPELINE), .GATE_LANES(GATE_LANES), .BEATS(BEATS), .FIRST_BEATS(FIRST_BEATS),
      .VOCABULARY(VOCABULARY), .ROWS(ROWS),
      .GROUP_UNITS(GROUP_UNITS), .SEGMENT_UNITS(SEGMENT_UNITS), .GROUP_SUMS(GROUP_SUMS),
      .DSP_DEPTH(DSP_DEPTH), .LUT_DEPTH(LUT_DEPTH), .PACK(PACK), .WEIGHT_BITS(WEIGHT_BITS),
      .SUM_BITS(SUM_BITS), .WORDS(WORDS), .WEIGHT_ROW_BITS(WEIGHT_ROW_BITS), .PARITY(PARITY), .JOBS(JOBS),
      .STEP_BITS(STEP_BITS), .COUNT_BITS(COUNT_BITS), .ITEM_BITS(ITEM_BITS),
      .H_BITS(H_BITS), .OUTPUT_BIAS_BITS(OUTPUT_BIAS_BITS),
      .OUTPUT_TOTAL_BITS(OUTPUT_TOTAL_BITS), .OUTPUT_SHIFT(OUTPUT_SHIFT), .LOGIT_SHIFT(LOGIT_SHIFT),
      .LOGIT_HALF(LOGIT_HALF), .LOGIT_BITS(LOGIT_BITS)
  ) u_core (
      .clk_i,
      .rst_i,
      .credit_o        (credit),
      .grant_o         (x_grant),
      .start_i         (x_start),
      .beat_i          (x_beat),
      .beat_last_i     (x_last),
      .fresh_i         (x_fresh),
      .phase_i         (x_phase),
      .row_address_i   (x_row_address),
      .fresh_by_phase_i(fresh_by_phase),
      .room_i          (room),
      .room_taken_o    (room_taken),
      .word_valid_o    (word_valid),
      .word_o          (word),
      .logits_valid_o  (logits_valid),
      .logits_last_o   (logits_last),
      .logits_o        (logits),
      .parity_error_o  (parity_error)
  );

  // ---- choice of the character, and output buffer
  logic room_free, room_pending_q, fifo_empty;
  logic [63:0] logits_beat;
  character_choice #(
      .VOCABULARY      (VOCABULARY),
      .LOGIT_BITS      (LOGIT_BITS),
      .NOISE_BITS      (NOISE_BITS),
      .TABLE_BITS      (NOISE_TABLE_BITS),
      .TEMPERATURE_BITS(TEMPERATURE_BITS),
      .SCORE_BITS      (SCORE_BITS),
      .LOGIT_SHIFT     (SCORE_LOGIT_SHIFT),
      .NOISE_SHIFT     (SCORE_NOISE_SHIFT),
      .LOSER           (SCORE_LOSER),
      .NOISE_TAIL      (NOISE_TAIL),
      .INITIAL         (RANDOM_INITIAL)
  ) u_choice (
      .clk_i,
      .rst_i,
      .seed_write_i     (seed_write),
      .seed_i           (seed),
      .temperature_i    (temperature),
      .valid_i          (word_valid),
      .sample_i         (output_sample),
      .word_i           (word),
      .logits_i         (logits),
      .logits_valid_i   (logits_valid),
      .logits_last_i    (logits_last),
      .character_valid_o(character_valid),
      .character_o      (character)
  );
  assign sampled = character_valid && output_sample;
  assign room = room_free && !room_pending_q;
  always_ff @(posedge clk_i) begin
    // Only one character's logits are on their way at a time: room is counted in whole characters.
    if (rst_i) room_pending_q <= 1'b0;
    else if (room_taken) room_pending_q <= 1'b1;
    else if (character_valid) room_pending_q <= 1'b0;
  end
  for (genvar k = 0; k < WORD_LOGITS; k++) begin : gen_beat
    assign logits_beat[SIGNAL_BITS*k+:SIGNAL_BITS] = SIGNAL_BITS'($signed(logits[k*LOGIT_BITS+:LOGIT_BITS]));
  end
  axis_fifo #(
      .WIDTH  (64),
      .DEPTH  (FIFO_DEPTH),
      .RESERVE(OUTPUT_WORDS + 1)
  ) u_fifo (
      .clk_i,
      .rst_i,
      .write_i(sampled || (logits_valid && output_score)),
      .data_i (sampled ? 64'(character) : logits_beat),
      .last_i (sampled ? sampled_last : logits_last && output_last),
      .room_o (room_free),
      .empty_o(fifo_empty),
      .m_axis_tvalid,
      .m_axis_tready,
      .m_axis_tdata,
      .m_axis_tlast
  );

  axil_registers #(
      .IDENTITY        (IDENTITY),
      .SHAPE           (LAYERS << SHAPE_LAYERS | FIRST_UNITS << SHAPE_UNITS | VOCABULARY << SHAPE_VOCABULARY),
      .ARRAY           (GROUP_UNITS * GROUP_SUMS * DEPTH << ARRAY_LANES | PACK << ARRAY_PACK | DEPTH << ARRAY_DEPTH),
      .TEMPERATURE_BITS(TEMPERATURE_BITS),
      .PARITY          (PARITY)
  ) u_registers (
      .clk_i,
      .rst_i,
      .s_axil_awvalid,
      .s_axil_awready,
      .s_axil_awaddr,
      .s_axil_awprot,
      .s_axil_wvalid,
      .s_axil_wready,
      .s_axil_wdata,
      .s_axil_wstrb,
      .s_axil_bvalid,
      .s_axil_bready,
      .s_axil_bresp,
      .s_axil_arvalid,
      .s_axil_arready,
      .s_axil_araddr,
      .s_axil_arprot,
      .s_axil_rvalid,
      .s_axil_rready,
      .s_axil_rdata,
      .s_axil_rresp,
      .generate_o   (generate_mode),
      .auto_reset_o (auto_reset),
      .length_o     (length),
      .reset_state_o(reset_state),
      .stop_o       (stop),
      .seed_o       (seed),
      .seed_write_o (seed_write),
      .temperature_o(temperature),
      .busy_i       (busy || !fifo_empty),
      .generating_i (generating),
      .open_i       (sequence_open),
      .offered_i    (s_axis_tvalid),
      .accepted_i   (accepted),
      .bad_code_i   (bad_code),
      .parity_error_i(parity_error)
  );

`ifdef ZYNQ_LSTM_TRACE
  waveform u_waveform (.clk_i);
`endif
endmodule
