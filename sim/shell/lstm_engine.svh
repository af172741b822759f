// SPDX-License-Identifier: Apache-2.0

  // The engine's interfaces around a network that is not ours: module `kernel` gives the logits of one
  // character at a time. It is put behind the header of hls/rtl/lstm_engine.sv (sim/shell/__init__.py).
  localparam int OUTPUT_WORDS = (VOCABULARY + 3) / 4;
  localparam int WORD_BITS = OUTPUT_WORDS > 1 ? $clog2(OUTPUT_WORDS) : 1;
  localparam int CODE_BITS = WORD_BITS + 2;
  localparam int FIFO_DEPTH = 2 << WORD_BITS;
  localparam int ADDRESS_BITS = 9;
  // Until character_control says what becomes of a character that starts (3), and until the noise of a seed that
  // was written right before is ready (20, gumbel_noise); a kernel may be faster than that.
  localparam int SETTLE_CYCLES = 20;
  localparam int CHOICE_CYCLES = 5;  // character_choice: from a word's number to its logits

  // ---- characters; layer 0 has one beat, and its row address is the code
  logic generate_mode, auto_reset, reset_state, stop, accepted, bad_code, busy, generating, sequence_open;
  logic [31:0] length, seed;
  logic seed_write, start, fresh, output_score, output_sample, output_last, character_valid, sampled, sampled_last;
  logic [TEMPERATURE_BITS-1:0] temperature;
  logic [ADDRESS_BITS-1:0] code;
  logic [CODE_BITS-1:0] character;
  logic unused, unused_beat, unused_beat_last, unused_phase;  // one character at a time, in one beat
  logic [1:0] unused_fresh_by_phase;
  assign unused = ^{unused_beat, unused_beat_last, unused_phase, unused_fresh_by_phase};

  typedef enum logic [2:0] {IDLE, SETTLE, RUN, ROOM, SEND, CHOOSE} state_e;
  state_e state_q;
  logic [4:0] settle_left_q;
  logic [WORD_BITS-1:0] word_q;
  logic kernel_start_q, kernel_done, fresh_q, room;
  logic [14:0] code_q;
  logic [VOCABULARY*LOGIT_BITS-1:0] kernel_logits;

  character_control #(
      .VOCABULARY      (VOCABULARY),
      .BEATS           (1),
      .BEAT_BITS       (1),
      .ROW_ADDRESS_BITS(ADDRESS_BITS),
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
      .credit_i         (character_valid),
      .grant_i          (state_q == IDLE),
      .start_o          (start),
      .beat_o           (unused_beat),
      .beat_last_o      (unused_beat_last),
      .fresh_o          (fresh),
      .phase_o          (unused_phase),
      .row_address_o    (code),
      .fresh_by_phase_o (unused_fresh_by_phase),
      .score_o          (output_score),
      .sample_o         (output_sample),
      .last_o           (output_last),
      .finished_i       (character_valid),
      .sampled_i        (sampled),
      .code_i           (character),
      .sampled_last_o   (sampled_last)
  );

  always_ff @(posedge clk_i) begin
    kernel_start_q <= 1'b0;
    case (state_q)
      IDLE: if (start) begin
        state_q <= SETTLE;
        fresh_q <= fresh;
        code_q <= 15'(code);
        settle_left_q <= 5'(SETTLE_CYCLES);
      end
      SETTLE: begin
        settle_left_q <= settle_left_q - 1'b1;
        if (settle_left_q == '0) begin
          state_q <= RUN;
          kernel_start_q <= 1'b1;
        end
      end
      RUN: if (kernel_done) state_q <= ROOM;
      ROOM: if (room) begin
        state_q <= SEND;
        word_q <= '0;
      end
      SEND: begin
        word_q <= word_q + 1'b1;
        if (word_q == WORD_BITS'(OUTPUT_WORDS - 1)) state_q <= CHOOSE;
      end
      default: if (character_valid) state_q <= IDLE;
    endcase
    if (rst_i) begin
      state_q <= IDLE;
      kernel_start_q <= 1'b0;
    end
  end

  kernel #(
      .VOCABULARY(VOCABULARY),
      .LOGIT_BITS(LOGIT_BITS),
      .UNITS     (BEATS)
  ) u_kernel (
      .clk_i,
      .rst_i,
      .start_i (kernel_start_q),
      .fresh_i (fresh_q),
      .code_i  (code_q),
      .done_o  (kernel_done),
      .logits_o(kernel_logits)
  );

  // ---- words of four logits; positions behind the vocabulary hold the lowest value
  logic logits_valid, logits_last;
  logic [4*LOGIT_BITS-1:0] word_logits, logits;
  logic [63:0] logits_beat;
  for (genvar k = 0; k < 4; k++) begin : gen_logit
    always_comb begin
      word_logits[k*LOGIT_BITS+:LOGIT_BITS] = {1'b1, {(LOGIT_BITS - 1) {1'b0}}};
      for (int w = 0; w < int'(OUTPUT_WORDS); w++) begin
        if (word_q == WORD_BITS'(w) && 4 * w + k < int'(VOCABULARY))
          word_logits[k*LOGIT_BITS+:LOGIT_BITS] = kernel_logits[(4*w+k)*LOGIT_BITS+:LOGIT_BITS];
      end
    end
    assign logits_beat[16*k+:16] = 16'($signed(logits[k*LOGIT_BITS+:LOGIT_BITS]));
  end
  delay #(
      .WIDTH (4 * LOGIT_BITS + 1),
      .CYCLES(CHOICE_CYCLES)
  ) u_logits (
      .clk_i,
      .data_i({word_q == WORD_BITS'(OUTPUT_WORDS - 1), word_logits}),
      .data_o({logits_last, logits})
  );
  delay_flag #(
      .CYCLES(CHOICE_CYCLES)
  ) u_valid (
      .clk_i,
      .rst_i,
      .data_i(state_q == SEND),
      .data_o(logits_valid)
  );
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
      .valid_i          (state_q == SEND),
      .sample_i         (output_sample),
      .word_i           (word_q),
      .logits_i         (logits),
      .logits_valid_i   (logits_valid),
      .logits_last_i    (logits_last),
      .character_valid_o(character_valid),
      .character_o      (character)
  );
  assign sampled = character_valid && output_sample;

  // ---- output buffer and registers, as in the engine
  logic fifo_empty;
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
      .room_o (room),
      .empty_o(fifo_empty),
      .m_axis_tvalid,
      .m_axis_tready,
      .m_axis_tdata,
      .m_axis_tlast
  );
  axil_registers #(
      .IDENTITY        (IDENTITY),
      .SHAPE           ({8'(LAYERS), 12'(FIRST_UNITS), 12'(VOCABULARY)}),
      .ARRAY           ({16'(GROUP_UNITS * GROUP_SUMS * (DSP_DEPTH + LUT_DEPTH)), 8'(PACK),
                         8'(DSP_DEPTH + LUT_DEPTH)}),
      .TEMPERATURE_BITS(TEMPERATURE_BITS)
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
      .parity_error_i(1'b0)  // the kernel says nothing of its memories
  );
endmodule
