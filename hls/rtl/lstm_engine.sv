// SPDX-License-Identifier: Apache-2.0
// A quantized character-level LSTM network: character codes in, logits or characters out.
//
//   s_axis   8-bit character codes; TLAST ends a sequence
//   m_axis   score: each character's logits, four a beat from code 0 on, positions behind the vocabulary
//            hold the lowest value; TLAST with the last beat of a sequence.
//            generate: one sampled code a beat, in the low bits; TLAST with the last one.
//   s_axil   registers (hls/registers.py)
//
// Parameters, schedule and memories come from hls/generate.py, which writes the instance of this module.
module lstm_engine #(
    parameter int LAYERS = 2,
    parameter int GATE_LANES = 1,         // gate pipelines; so many units are a beat
    parameter int BEATS = 256,           // of all layers
    parameter int FIRST_BEATS = 128,     // of layer 0
    parameter int FIRST_UNITS = 128,
    parameter int VOCABULARY = 90,
    parameter int ROWS = 64,             // of the hidden buffer, one phase
    parameter logic [LAYERS*16-1:0] BEAT_BASE = '0,  // number of layer k's first beat
    parameter logic [LAYERS*16-1:0] ROW_BASE = '0,   // row of layer k's first unit
    parameter int GROUP_UNITS = 26,
    parameter int SEGMENT_UNITS = 9,
    parameter int GROUP_SUMS = 4,        // of each unit's four, those that a job makes
    parameter int DSP_DEPTH = 4,
    parameter int LUT_DEPTH = 0,
    parameter int PACK = 2,
    parameter int WEIGHT_BITS = 8,
    parameter int SUM_BITS = 24,
    parameter int WORDS = 512,           // of weight memory
    parameter int WEIGHT_ROW_BITS = 9,   // shape of the weight memory (rom.sv)
    parameter bit PARITY = 1'b0,         // of the weight memory
    parameter int JOBS = 16,
    parameter int STEP_BITS = 6,
    parameter int COUNT_BITS = 5,
    parameter int ITEM_BITS = 8,         // of a beat's number, or an output word's
    parameter int X_WEIGHT_BITS = 8,     // of layer 0's W
    parameter int X_ROW_BITS = 11,       // shape of the memory of layer 0's W (rom.sv)
    parameter int Z_SUM_BITS = 26,
    parameter int BIAS_BITS = 20,
    parameter logic [LAYERS*8-1:0] U_SHIFT = '0,
    parameter logic [LAYERS*8-1:0] X_SHIFT = '0,
    parameter int Z_SHIFT = 8,
    parameter int Z_BITS = 10,
    parameter int GATE_BITS = 9,
    parameter int G_BITS = 8,
    parameter int C_BITS = 16,
    parameter int FC_SHIFT = 0,
    parameter int IG_SHIFT = 4,
    parameter int C_SHIFT = 8,
    parameter int CT_SHIFT = 4,
    parameter int CT_BITS = 10,
    parameter int TC_BITS = 8,
    parameter int SIGMOID_BITS = 8,      // stored in the tables: no more than their values need
    parameter int TANH_BITS = 8,
    parameter int TANH_C_BITS = 8,
    parameter int SIGMOID_ROW_BITS = 10, // shapes of the tables
    parameter int TANH_ROW_BITS = 10,
    parameter int TANH_C_ROW_BITS = 10,
    parameter int H_SHIFT = 8,
    parameter int H_BITS = 8,
    parameter bit Z_HALF = 1'b1,
    parameter bit C_HALF = 1'b1,
    parameter bit CT_HALF = 1'b1,
    parameter bit H_HALF = 1'b1,
    parameter int OUTPUT_BIAS_BITS = 20,
    parameter int OUTPUT_TOTAL_BITS = 26,
    parameter int OUTPUT_SHIFT = 0,
    parameter int LOGIT_SHIFT = 3,
    parameter bit LOGIT_HALF = 1'b1,
    parameter int LOGIT_BITS = 16,
    parameter int NOISE_BITS = 16,
    parameter int NOISE_TABLE_BITS = 14,
    parameter int TEMPERATURE_BITS = 12,
    parameter int SCORE_BITS = 28,       // of logit + temperature * noise, aligned
    parameter int SCORE_LOGIT_SHIFT = 8,
    parameter int SCORE_NOISE_SHIFT = 0,
    parameter logic [SCORE_BITS-1:0] SCORE_LOSER = '0,       // instead of a logit behind the vocabulary
    parameter logic [25*NOISE_BITS-1:0] NOISE_TAIL = '0,     // by octave
    parameter logic [127:0] RANDOM_INITIAL = '0,
    parameter logic [255:0] IDENTITY = '0
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
  localparam int LAYER_BITS = 2;
  localparam int ADDRESS_BITS = WORDS > 1 ? $clog2(WORDS) : 1;
  localparam int ROW_BITS = ROWS > 1 ? $clog2(ROWS) : 1;
  localparam int DEPTH = DSP_DEPTH + LUT_DEPTH;
  localparam int PLACES = DEPTH / GATE_LANES;  // beats in a row of the hidden buffer
  localparam int PLACE_BITS = PLACES > 1 ? $clog2(PLACES) : 1;
  localparam int BEAT_BITS = BEATS > 1 ? $clog2(BEATS) : 1;
  localparam int UNIT_SUMS = 4 * SUM_BITS;
  localparam int OUTPUT_WORDS = (VOCABULARY + 3) / 4;
  localparam int WORD_BITS = OUTPUT_WORDS > 1 ? $clog2(OUTPUT_WORDS) : 1;
  localparam int CODE_BITS = WORD_BITS + 2;
  localparam int X_ROWS = VOCABULARY * FIRST_BEATS;
  localparam int X_ADDRESS_BITS = $clog2(X_ROWS);
  localparam int X_BITS = X_WEIGHT_BITS > SUM_BITS ? X_WEIGHT_BITS : SUM_BITS;
  localparam int FIFO_DEPTH = 2 << WORD_BITS;

  // What a job's sums are for (hls/schedule.py); anything else: for nothing yet, the unit has more to come.
  localparam logic [1:0] TO_U = 2'd0, TO_X = 2'd1, TO_OUTPUT = 2'd2;
  // {phase, destination, layer, layer's last group, number of the first unit or word}
  localparam int TAG_BITS = 2 + LAYER_BITS + 1 + ITEM_BITS;

`ifndef __ICARUS__  // which has no elaboration-time errors
  if (LOGIT_BITS > 16) begin : gen_bad_logits
    $error("%m: LOGIT_BITS must be at most 16, a quarter of an m_axis beat");
  end
  if (DEPTH % GATE_LANES != 0 || GROUP_UNITS % GATE_LANES != 0 || SEGMENT_UNITS % GATE_LANES != 0)
  begin : gen_bad_lanes
    $error("%m: GATE_LANES must divide the array's depth, GROUP_UNITS and SEGMENT_UNITS");
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

  // ---- multiply-accumulate array
  logic [LAYERS*2-1:0] finished_q;
  logic room, room_taken, step_valid, step_first, step_last, step_phase;
  logic [ADDRESS_BITS-1:0] step_address;
  logic [ROW_BITS-1:0] step_row;
  logic [TAG_BITS-1:0] step_tag;
  logic [COUNT_BITS-1:0] step_count;
  logic [DEPTH*H_BITS-1:0] activations;
  mac_sequencer #(
      .LAYERS    (LAYERS),
      .JOBS      (JOBS),
      .WORDS     (WORDS),
      .ROW_BITS  (ROW_BITS),
      .STEP_BITS (STEP_BITS),
      .TAG_BITS  (TAG_BITS),
      .COUNT_BITS(COUNT_BITS)
  ) u_sequencer (
      .clk_i,
      .rst_i,
      .finished_i  (finished_q),
      .room_i      (room),
      .room_taken_o(room_taken),
      .address_o   (step_address),
      .valid_o     (step_valid),
      .first_o     (step_first),
      .last_o      (step_last),
      .tag_o       (step_tag),
      .count_o     (step_count),
      .phase_o     (step_phase),
      .row_o       (step_row)
  );

  logic sums_valid, sums_last, sums_to_u, sums_to_gates, sums_to_output, parity_error;
  logic [1:0] step_to;
  logic [LAYER_BITS-1:0] step_layer;
  assign {step_to, step_layer} = step_tag[TAG_BITS-1-:2+LAYER_BITS];
  logic [TAG_BITS:0] sums_tag;
  logic [ITEM_BITS-1:0] sums_item;
  logic [GATE_LANES*UNIT_SUMS-1:0] sums;
  mac_array #(
      .GROUP_UNITS    (GROUP_UNITS),
      .SEGMENT_UNITS  (SEGMENT_UNITS),
      .SUMS           (GROUP_SUMS),
      .DSP_DEPTH      (DSP_DEPTH),
      .LUT_DEPTH      (LUT_DEPTH),
      .DRAIN          (GATE_LANES),
      .PACK           (PACK),
      .WEIGHT_BITS    (WEIGHT_BITS),
      .ACTIVATION_BITS(H_BITS),
      .SUM_BITS       (SUM_BITS),
      .WORDS          (WORDS),
      .ROW_BITS       (WEIGHT_ROW_BITS),
      .TAG_BITS       (TAG_BITS + 1),
      .FLAGS          (4),
      .COUNT_BITS     (COUNT_BITS),
      .ITEM_BITS      (ITEM_BITS),
      .PARITY         (PARITY)
  ) u_array (
      .clk_i,
      .rst_i,
      .address_i    (step_address),
      .valid_i      (step_valid),
      .first_i      (step_first),
      .last_i       (step_last),
      .tag_i        ({step_phase, step_tag}),
      .flags_i      ({
        step_to == TO_U && step_layer == '0, step_to == TO_OUTPUT, step_to == TO_X, step_to == TO_U
      }),
      .single_i     (step_tag[TAG_BITS-1-:2] == TO_OUTPUT),
      .count_i      (step_count),
      .activations_i(activations),
      .beat_valid_o (sums_valid),
      .beat_flags_o ({credit, sums_to_output, sums_to_gates, sums_to_u}),
      .beat_tag_o   (sums_tag),
      .beat_item_o  (sums_item),
      .beat_last_o  (sums_last),
      .beat_o       (sums),
      .parity_error_o(parity_error)
  );
  logic sums_phase, sums_final;
  logic [1:0] sums_to;
  logic [LAYER_BITS-1:0] sums_layer;
  logic [ITEM_BITS-1:0] sums_first;
  assign {sums_phase, sums_to, sums_layer, sums_final, sums_first} = sums_tag;
  logic unused_sums;
  assign unused_sums = ^{sums_valid, sums_to, sums_first};

  // ---- gates; finished sums go first, they cannot wait
  logic write_h, write_phase, write_last;
  logic [LAYER_BITS-1:0] write_layer, start_layer_2;
  logic [BEAT_BITS-1:0] write_beat;
  logic [GATE_LANES*H_BITS-1:0] write_values;
  logic [GATE_LANES*UNIT_SUMS-1:0] sums_2;
  logic [GATE_LANES*4*X_WEIGHT_BITS-1:0] x_row;
  assign x_grant = !sums_to_gates;
  rom #(
      .WIDTH(GATE_LANES * 4 * X_WEIGHT_BITS),
      .DEPTH(X_ROWS),
      .ROW_BITS(X_ROW_BITS),
      .FILE ("rows.mem")
  ) u_rows (
      .clk_i,
      .address_i(x_row_address),
      .data_o   (x_row)
  );
  delay #(
      .WIDTH (GATE_LANES * UNIT_SUMS + LAYER_BITS),
      .CYCLES(2)
  ) u_x_part (
      .clk_i,
      .data_i({sums, sums_to_gates ? sums_layer : LAYER_BITS'(0)}),
      .data_o({sums_2, start_layer_2})
  );
  // The pipelines run in step: what they say of beat, layer and phase is the same.
  logic [GATE_LANES-1:0] writes, write_phases, write_lasts;
  logic [GATE_LANES*LAYER_BITS-1:0] write_layers;
  logic [GATE_LANES*BEAT_BITS-1:0] write_beats;
  assign write_h = writes[0];
  assign write_phase = write_phases[0];
  assign write_last = write_lasts[0];
  assign write_layer = write_layers[LAYER_BITS-1:0];
  assign write_beat = write_beats[BEAT_BITS-1:0];
  logic unused_lanes;
  assign unused_lanes = ^{writes, write_phases, write_lasts, write_layers, write_beats};
  for (genvar p = 0; p < GATE_LANES; p++) begin : gen_lane
    logic [4*X_BITS-1:0] x_part;
    for (genvar k = 0; k < 4; k++) begin : gen_x_part
      assign x_part[k*X_BITS+:X_BITS] = start_layer_2 == '0
          ? X_BITS'($signed(x_row[(4*p+k)*X_WEIGHT_BITS+:X_WEIGHT_BITS]))
          : X_BITS'($signed(sums_2[(4*p+k)*SUM_BITS+:SUM_BITS]));
    end
    gate_pipeline #(
        .LAYERS    (LAYERS),
        .LANE      (p),
        .LANES     (GATE_LANES),
        .UNITS     (BEATS),
        .SUM_BITS  (SUM_BITS),
        .X_BITS    (X_BITS),
        .Z_SUM_BITS(Z_SUM_BITS),
        .BIAS_BITS (BIAS_BITS),
        .U_SHIFT   (U_SHIFT),
        .X_SHIFT   (X_SHIFT),
        .Z_SHIFT   (Z_SHIFT),
        .Z_BITS    (Z_BITS),
        .GATE_BITS (GATE_BITS),
        .G_BITS    (G_BITS),
        .C_BITS    (C_BITS),
        .FC_SHIFT  (FC_SHIFT),
        .IG_SHIFT  (IG_SHIFT),
        .C_SHIFT   (C_SHIFT),
        .CT_SHIFT  (CT_SHIFT),
        .CT_BITS   (CT_BITS),
        .TC_BITS   (TC_BITS),
        .SIGMOID_BITS    (SIGMOID_BITS),
        .TANH_BITS       (TANH_BITS),
        .TANH_C_BITS     (TANH_C_BITS),
        .SIGMOID_ROW_BITS(SIGMOID_ROW_BITS),
        .TANH_ROW_BITS   (TANH_ROW_BITS),
        .TANH_C_ROW_BITS (TANH_C_ROW_BITS),
        .H_SHIFT   (H_SHIFT),
        .H_BITS    (H_BITS),
        .Z_HALF    (Z_HALF),
        .C_HALF    (C_HALF),
        .CT_HALF   (CT_HALF),
        .H_HALF    (H_HALF)
    ) u_gates (
        .clk_i,
        .rst_i,
        .store_i      (sums_to_u),
        .store_unit_i (BEAT_BITS'(sums_item)),
        .store_sums_i (sums[p*UNIT_SUMS+:UNIT_SUMS]),
        .start_i      (sums_to_gates || x_start),
        .layer_i      (sums_to_gates ? sums_layer : '0),
        .unit_i       (sums_to_gates ? BEAT_BITS'(sums_item) : x_beat),
        .fresh_i      (sums_to_gates ? fresh_by_phase[sums_phase] : x_fresh),
        .phase_i      (sums_to_gates ? sums_phase : x_phase),
        .last_i       (sums_to_gates ? sums_final && sums_last : x_last),
        .x_part_i     (x_part),
        .write_o      (writes[p]),
        .write_layer_o(write_layers[p*LAYER_BITS+:LAYER_BITS]),
        .write_unit_o (write_beats[p*BEAT_BITS+:BEAT_BITS]),
        .write_phase_o(write_phases[p]),
        .write_last_o (write_lasts[p]),
        .write_h_o    (write_values[p*H_BITS+:H_BITS])
    );
  end

  // ---- hidden states: the beat's place within its layer, a cycle before it is written
  logic write_q, write_phase_q, write_last_q;
  logic [LAYER_BITS-1:0] write_layer_q;
  logic [GATE_LANES*H_BITS-1:0] write_values_q;
  logic [15:0] write_place_q, beat_base, row_base;
  always_comb begin
    beat_base = '0;
    row_base = '0;
    for (int k = 0; k < int'(LAYERS); k++) begin
      if (write_layer == LAYER_BITS'(k)) beat_base = BEAT_BASE[16*k+:16];
      if (write_layer_q == LAYER_BITS'(k)) row_base = ROW_BASE[16*k+:16];
    end
  end
  always_ff @(posedge clk_i) begin
    write_place_q <= 16'(write_beat) - beat_base;
    {write_layer_q, write_phase_q, write_values_q} <= {write_layer, write_phase, write_values};
    if (rst_i) begin
      write_q <= 1'b0;
      write_last_q <= 1'b0;
      finished_q <= '0;
    end else begin
      write_q <= write_h;
      write_last_q <= write_h && write_last;
      for (int k = 0; k < int'(LAYERS); k++) begin
        if (write_last_q && write_layer_q == LAYER_BITS'(k))
          finished_q[2*k+:2] <= finished_q[2*k+:2] + 2'd1;
      end
    end
  end
  hidden_buffer #(
      .LANES (DEPTH),
      .WRITES(GATE_LANES),
      .WIDTH (H_BITS),
      .ROWS  (ROWS)
  ) u_hidden (
      .clk_i,
      .write_i      (write_q),
      .write_phase_i(write_phase_q),
      .write_row_i  (ROW_BITS'(row_base + write_place_q / 16'(PLACES))),
      .write_place_i(PLACE_BITS'(write_place_q % 16'(PLACES))),
      .write_data_i (write_values_q),
      .read_phase_i (step_phase),
      .read_row_i   (step_row),
      .read_data_o  (activations)
  );

  // ---- output layer and output buffer
  logic [WORD_BITS-1:0] sums_word;
  assign sums_word = WORD_BITS'(sums_item);
  logic logits_valid, logits_last, room_free, room_pending_q, fifo_empty;
  logic [4*LOGIT_BITS-1:0] logits;
  logic [63:0] logits_beat;
  output_layer #(
      .VOCABULARY (VOCABULARY),
      .SUM_BITS   (SUM_BITS),
      .BIAS_BITS  (OUTPUT_BIAS_BITS),
      .TOTAL_BITS (OUTPUT_TOTAL_BITS),
      .SUM_SHIFT  (OUTPUT_SHIFT),
      .LOGIT_SHIFT(LOGIT_SHIFT),
      .LOGIT_HALF (LOGIT_HALF),
      .LOGIT_BITS (LOGIT_BITS)
  ) u_output (
      .clk_i,
      .rst_i,
      .valid_i       (sums_to_output),
      .word_i        (sums_word),
      .sums_i        (sums[UNIT_SUMS-1:0]),
      .logits_valid_o(logits_valid),
      .logits_last_o (logits_last),
      .logits_o      (logits)
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
      .valid_i          (sums_to_output),
      .sample_i         (output_sample),
      .word_i           (sums_word),
      .logits_i         (logits),
      .logits_valid_i   (logits_valid),
      .logits_last_i    (logits_last),
      .character_valid_o(character_valid),
      .character_o      (character)
  );
  assign sampled = character_valid && output_sample;
  assign room = room_free && !room_pending_q;
  always_ff @(posedge clk_i) begin
    // One character's logits are on their way at a time: room is counted in whole characters.
    if (rst_i) room_pending_q <= 1'b0;
    else if (room_taken) room_pending_q <= 1'b1;
    else if (character_valid) room_pending_q <= 1'b0;
  end
  for (genvar k = 0; k < 4; k++) begin : gen_beat
    assign logits_beat[16*k+:16] = 16'($signed(logits[k*LOGIT_BITS+:LOGIT_BITS]));
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
      .SHAPE           ({8'(LAYERS), 12'(FIRST_UNITS), 12'(VOCABULARY)}),
      .ARRAY           ({16'(GROUP_UNITS * GROUP_SUMS * DEPTH), 8'(PACK), 8'(DEPTH)}),
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
