// SPDX-License-Identifier: Apache-2.0
// The network: takes one character after the other, and returns its logits. Contains sequencer, multiply-accumulate
// array, gates (generated, network_gates.sv) and output layer; network_engine.sv instantiates it.
module network_core #(
    `include "network_core_parameters.svh"
) (
    `include "network_core_ports.svh"
);
  localparam int ADDRESS_BITS = WORDS > 1 ? $clog2(WORDS) : 1;
  localparam int ROW_BITS = ROWS > 1 ? $clog2(ROWS) : 1;
  localparam int DEPTH = DSP_DEPTH + LUT_DEPTH;
  localparam int WORD_WIDTH = WORD_LOGITS * SUM_BITS;
  `include "zynq_lstm_constants.svh"
  `include "zynq_lstm_job.svh"
  localparam int TAG_BITS = JOB_TAG_BITS;

`ifndef __ICARUS__  // which has no elaboration-time errors
  if (DEPTH % GATE_LANES != 0 || GROUP_UNITS % GATE_LANES != 0 || SEGMENT_UNITS % GATE_LANES != 0)
  begin : gen_bad_lanes
    $error("%m: GATE_LANES must divide the array's depth, GROUP_UNITS and SEGMENT_UNITS");
  end
`endif

  // ---- multiply-accumulate array
  logic [STAGES*2-1:0] finished;
  logic step_valid, step_first, step_last, step_phase;
  logic [ADDRESS_BITS-1:0] step_address;
  logic [ROW_BITS-1:0] step_row;
  logic [STAGE_BITS-1:0] step_source;
  logic [TAG_BITS-1:0] step_tag;
  logic [COUNT_BITS-1:0] step_count;
  logic [DEPTH*H_BITS-1:0] activations;
  mac_sequencer #(
      .STAGES    (STAGES),
      .STAGE_BITS(STAGE_BITS),
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
      .finished_i  (finished),
      .room_i,
      .room_taken_o,
      .address_o   (step_address),
      .valid_o     (step_valid),
      .first_o     (step_first),
      .last_o      (step_last),
      .tag_o       (step_tag),
      .count_o     (step_count),
      .phase_o     (step_phase),
      .source_o    (step_source),
      .row_o       (step_row)
  );

  // Destinations of the sums, a flag for each pipeline of gates.
  logic [TO_BITS-1:0] step_to;
  logic [STAGE_BITS-1:0] step_stage;
  logic [PIPELINES-1:0] step_waits, step_starts;
  assign step_to = step_tag[JOB_TO-JOB_TAG+:TO_BITS];
  assign step_stage = step_tag[JOB_STAGE-JOB_TAG+:STAGE_BITS];
  for (genvar p = 0; p < PIPELINES; p++) begin : gen_destination
    logic own;
    always_comb begin
      own = 1'b0;
      for (int k = 0; k < int'(STAGES); k++)
        if (step_stage == STAGE_BITS'(k) && STAGE_PIPELINE[4*k+:4] == 4'(p)) own = 1'b1;
    end
    assign step_waits[p] = step_to == TO_WAIT && (own || PIPELINES == 1);
    assign step_starts[p] = step_to == TO_START && (own || PIPELINES == 1);
  end

  logic sums_valid, sums_last, sums_credit, sums_to_output;
  logic [PIPELINES-1:0] sums_wait, sums_start;
  logic [TAG_BITS:0] sums_tag;  // the top bit is the character's phase
  logic [ITEM_BITS-1:0] sums_item;
  logic [GATE_LANES*WORD_WIDTH-1:0] sums;
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
      .FLAGS          (2 + 2 * PIPELINES),
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
        step_to == TO_WAIT && step_stage == '0, step_to == TO_OUTPUT, step_starts, step_waits
      }),
      .single_i     (step_to == TO_OUTPUT),
      .count_i      (step_count),
      .activations_i(activations),
      .beat_valid_o (sums_valid),
      .beat_flags_o ({sums_credit, sums_to_output, sums_start, sums_wait}),
      .beat_tag_o   (sums_tag),
      .beat_item_o  (sums_item),
      .beat_last_o  (sums_last),
      .beat_o       (sums),
      .parity_error_o
  );
  logic unused_sums;
  assign unused_sums = ^{sums_valid, sums_tag};

  network_gates u_gates (
      .clk_i,
      .rst_i,
      .sums_wait_i  (sums_wait),
      .sums_start_i (sums_start),
      .sums_credit_i(sums_credit),
      .sums_phase_i (sums_tag[TAG_BITS]),
      .sums_final_i (sums_tag[JOB_FINAL-JOB_TAG]),
      .sums_last_i  (sums_last),
      .sums_stage_i (sums_tag[JOB_STAGE-JOB_TAG+:STAGE_BITS]),
      .sums_item_i  (sums_item),
      .sums_i       (sums),
      .credit_o,
      .grant_o,
      .start_i,
      .beat_i,
      .beat_last_i,
      .fresh_i,
      .phase_i,
      .row_address_i,
      .fresh_by_phase_i,
      .finished_o   (finished),
      .read_phase_i (step_phase),
      .read_stage_i (step_source),
      .read_row_i   (step_row),
      .activations_o(activations)
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
      .sums_i (sums[WORD_WIDTH-1:0]),
      .logits_valid_o,
      .logits_last_o,
      .logits_o
  );
endmodule
