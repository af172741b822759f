// SPDX-License-Identifier: Apache-2.0
// The network: takes one character after the other, and returns its logits. Contains sequencer, multiply-accumulate
// array, gates, hidden states and output layer; lstm_engine.sv instantiates it.
module lstm_core #(
    `include "lstm_core_parameters.svh"
) (
    `include "lstm_core_ports.svh"
);
  localparam int ADDRESS_BITS = WORDS > 1 ? $clog2(WORDS) : 1;
  localparam int ROW_BITS = ROWS > 1 ? $clog2(ROWS) : 1;
  localparam int DEPTH = DSP_DEPTH + LUT_DEPTH;
  localparam int PLACES = DEPTH / GATE_LANES;  // beats in a row of the hidden buffer
  localparam int PLACE_BITS = PLACES > 1 ? $clog2(PLACES) : 1;
  localparam int UNIT_SUMS = 4 * SUM_BITS;
  localparam int X_BITS = X_WEIGHT_BITS > SUM_BITS ? X_WEIGHT_BITS : SUM_BITS;
  `include "zynq_lstm_job.svh"
  localparam int TAG_BITS = JOB_TAG_BITS;

`ifndef __ICARUS__  // which has no elaboration-time errors
  if (DEPTH % GATE_LANES != 0 || GROUP_UNITS % GATE_LANES != 0 || SEGMENT_UNITS % GATE_LANES != 0)
  begin : gen_bad_lanes
    $error("%m: GATE_LANES must divide the array's depth, GROUP_UNITS and SEGMENT_UNITS");
  end
`endif

  // ---- multiply-accumulate array
  logic [LAYERS*2-1:0] finished_q;
  logic step_valid, step_first, step_last, step_phase;
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
      .ITEM_BITS (ITEM_BITS),
      .TAG_BITS  (TAG_BITS),
      .COUNT_BITS(COUNT_BITS)
  ) u_sequencer (
      .clk_i,
      .rst_i,
      .finished_i  (finished_q),
      .room_i,
      .room_taken_o,
      .address_o   (step_address),
      .valid_o     (step_valid),
      .first_o     (step_first),
      .last_o      (step_last),
      .tag_o       (step_tag),
      .count_o     (step_count),
      .phase_o     (step_phase),
      .row_o       (step_row)
  );

  logic sums_valid, sums_last, sums_to_u, sums_to_gates, sums_to_output;
  logic [TO_BITS-1:0] step_to;
  logic [LAYER_BITS-1:0] step_layer;
  assign step_to = step_tag[JOB_TO-JOB_TAG+:TO_BITS];
  assign step_layer = step_tag[JOB_LAYER-JOB_TAG+:LAYER_BITS];
  logic [TAG_BITS:0] sums_tag;  // the top bit is the character's phase
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
      .single_i     (step_to == TO_OUTPUT),
      .count_i      (step_count),
      .activations_i(activations),
      .beat_valid_o (sums_valid),
      .beat_flags_o ({credit_o, sums_to_output, sums_to_gates, sums_to_u}),
      .beat_tag_o   (sums_tag),
      .beat_item_o  (sums_item),
      .beat_last_o  (sums_last),
      .beat_o       (sums),
      .parity_error_o
  );
  logic sums_phase, sums_final;
  logic [LAYER_BITS-1:0] sums_layer;
  assign sums_phase = sums_tag[TAG_BITS];
  assign sums_layer = sums_tag[JOB_LAYER-JOB_TAG+:LAYER_BITS];
  assign sums_final = sums_tag[JOB_FINAL-JOB_TAG];
  logic unused_sums;
  assign unused_sums = ^{sums_valid, sums_tag};

  // ---- gates; finished sums go first, since they cannot wait
  logic write_h, write_phase, write_last;
  logic [LAYER_BITS-1:0] write_layer, start_layer_2;
  logic [BEAT_BITS-1:0] write_beat;
  logic [GATE_LANES*H_BITS-1:0] write_values;
  logic [GATE_LANES*UNIT_SUMS-1:0] sums_2;
  logic [GATE_LANES*4*X_WEIGHT_BITS-1:0] x_row;
  assign grant_o = !sums_to_gates;
  rom #(
      .WIDTH(GATE_LANES * 4 * X_WEIGHT_BITS),
      .DEPTH(X_ROWS),
      .ROW_BITS(X_ROW_BITS),
      .FILE ("rows.mem")
  ) u_rows (
      .clk_i,
      .address_i(row_address_i),
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
  // The pipelines run in step: their beat, layer and phase are the same.
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
        .LANE      (p),
        .LANES     (GATE_LANES),
        .LAYER_BITS(LAYER_BITS)
    ) u_gates (
        .clk_i,
        .rst_i,
        .store_i      (sums_to_u),
        .store_unit_i (BEAT_BITS'(sums_item)),
        .store_sums_i (sums[p*UNIT_SUMS+:UNIT_SUMS]),
        .start_i      (sums_to_gates || start_i),
        .layer_i      (sums_to_gates ? sums_layer : '0),
        .unit_i       (sums_to_gates ? BEAT_BITS'(sums_item) : beat_i),
        .fresh_i      (sums_to_gates ? fresh_by_phase_i[sums_phase] : fresh_i),
        .phase_i      (sums_to_gates ? sums_phase : phase_i),
        .last_i       (sums_to_gates ? sums_final && sums_last : beat_last_i),
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

  // ---- output layer
  assign word_valid_o = sums_to_output;
  assign word_o = WORD_BITS'(sums_item);
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
      .valid_i(word_valid_o),
      .word_i (word_o),
      .sums_i (sums[UNIT_SUMS-1:0]),
      .logits_valid_o,
      .logits_last_o,
      .logits_o
  );
endmodule
