// SPDX-License-Identifier: Apache-2.0
// The multiply-accumulate array: GROUP_UNITS units of four sums, in segments. Each segment passes control and
// activations on to the next through a register, so that no net reaches all multipliers.
// After a job's last step the sums leave with the job's tag, in the order of units: DRAIN units per beat, or
// one unit per beat if single_i was set. With SUMS < 4 there is one unit, whose sums are complete after 4 / SUMS
// jobs; in the beats of the jobs before, no flag is set that gives the sums a destination.
//
// Latency from the control bundle with last_i to the first beat: DSP_DEPTH + SEGMENTS + ARRAY_LATENCY, and
// SKEW_LATENCY more with LUT products; the beats take count_i + 1 cycles. Two bundles with last_i must be SEGMENTS
// cycles further apart than that (the schedule ensures it).
// Segment s reads its weights from weights_ss.mem and lut_weights_ss.mem, s in two digits.
module mac_array #(
    parameter int GROUP_UNITS = 26,
    parameter int SEGMENT_UNITS = 9,
    parameter int SUMS = 4,          // sums of a unit that a job makes
    parameter int DSP_DEPTH = 4,
    parameter int LUT_DEPTH = 0,
    parameter int DRAIN = 1,
    parameter int PACK = 2,
    parameter int WEIGHT_BITS = 8,
    parameter int ACTIVATION_BITS = 8,
    parameter int SUM_BITS = 24,
    parameter int WORDS = 512,
    parameter int ROW_BITS = 9,      // shape of the weight memory (rom.sv)
    parameter int TAG_BITS = 8,
    parameter int FLAGS = 1,
    parameter int COUNT_BITS = 5,
    parameter int ITEM_BITS = 8,     // width of a beat's number; the tag's low bits are a job's first beat
    parameter bit PARITY = 1'b0,     // parity of the weights
    localparam int DEPTH = DSP_DEPTH + LUT_DEPTH,
    localparam int ADDRESS_BITS = WORDS > 1 ? $clog2(WORDS) : 1,
    localparam int UNIT_BITS = 4 * SUM_BITS
) (
    input  logic                             clk_i,
    input  logic                             rst_i,
    // control bundle, cycle 0
    input  logic [ADDRESS_BITS-1:0]          address_i,
    input  logic                             valid_i,
    input  logic                             first_i,
    input  logic                             last_i,
    input  logic [TAG_BITS-1:0]              tag_i,     // with last_i
    input  logic [FLAGS-1:0]                 flags_i,   // with last_i
    input  logic                             single_i,  // with last_i: one unit per beat
    input  logic [COUNT_BITS-1:0]            count_i,   // with last_i: beats, less one
    // activations of the bundle, cycle 2
    input  logic [DEPTH*ACTIVATION_BITS-1:0] activations_i,
    // finished sums
    output logic                             beat_valid_o,
    output logic [FLAGS-1:0]                 beat_flags_o,  // the job's flags, each ANDed with beat_valid_o
    output logic [TAG_BITS-1:0]              beat_tag_o,
    output logic [ITEM_BITS-1:0]             beat_item_o,
    output logic                             beat_last_o,
    output logic [DRAIN*UNIT_BITS-1:0]       beat_o,
    // set once for every cycle in which weight memories of one or several segments gave a word of odd parity
    output logic                             parity_error_o
);
  `include "zynq_lstm_constants.svh"
  localparam int SEGMENTS = (GROUP_UNITS + SEGMENT_UNITS - 1) / SEGMENT_UNITS;
  localparam int CONTROL_BITS = ADDRESS_BITS + 2;

  localparam int SKEW = LUT_DEPTH > 0 ? SKEW_LATENCY : 0;
  localparam int LOADED = DSP_DEPTH + SEGMENTS + SKEW + ARRAY_LATENCY - 1;  // the first beat is one register later

  logic single_q;
  logic [(SEGMENTS+1)*DRAIN*UNIT_BITS-1:0] links;
  logic [SEGMENTS-1:0] valids, parity_errors;
  logic [SEGMENTS*CONTROL_BITS-1:0] controls;
  logic [SEGMENTS*DEPTH*ACTIVATION_BITS-1:0] activations;
  assign links[SEGMENTS*DRAIN*UNIT_BITS+:DRAIN*UNIT_BITS] = '0;

  // Segment s sees everything s cycles later.
  if (SEGMENTS == 1) begin : gen_no_hops
    assign valids = valid_i;
    assign controls = {address_i, first_i, last_i};
    assign activations = activations_i;
  end else begin : gen_hops
    logic [SEGMENTS-2:0] valids_q;
    logic [(SEGMENTS-1)*CONTROL_BITS-1:0] controls_q;
    logic [(SEGMENTS-1)*DEPTH*ACTIVATION_BITS-1:0] activations_q;
    assign valids = {valids_q, valid_i};
    assign controls = {controls_q, address_i, first_i, last_i};
    assign activations = {activations_q, activations_i};
    always_ff @(posedge clk_i) begin
      if (rst_i) valids_q <= '0;
      else valids_q <= valids[SEGMENTS-2:0];
      controls_q <= controls[(SEGMENTS-1)*CONTROL_BITS-1:0];
      activations_q <= activations[(SEGMENTS-1)*DEPTH*ACTIVATION_BITS-1:0];
    end
  end

  for (genvar s = 0; s < SEGMENTS; s++) begin : gen_segment
    localparam int LEFT = GROUP_UNITS - s * SEGMENT_UNITS;
    localparam int UNITS = LEFT < SEGMENT_UNITS ? LEFT : SEGMENT_UNITS;
    localparam int CONTROL = s * CONTROL_BITS;

    mac_segment #(
        .UNITS          (UNITS),
        .SUMS           (SUMS),
        .DSP_DEPTH      (DSP_DEPTH),
        .LUT_DEPTH      (LUT_DEPTH),
        .DRAIN          (DRAIN),
        .PACK           (PACK),
        .WEIGHT_BITS    (WEIGHT_BITS),
        .ACTIVATION_BITS(ACTIVATION_BITS),
        .SUM_BITS       (SUM_BITS),
        .WORDS          (WORDS),
        .ROW_BITS       (ROW_BITS),
        .NUMBER         ({8'(48 + s / 10), 8'(48 + s % 10)}),
        .PARITY         (PARITY)
    ) u_segment (
        .clk_i,
        .rst_i,
        .address_i    (controls[CONTROL+2+:ADDRESS_BITS]),
        .valid_i      (valids[s]),
        .first_i      (controls[CONTROL+1]),
        .last_i       (controls[CONTROL] && valids[s]),
        .activations_i(activations[s*DEPTH*ACTIVATION_BITS+:DEPTH*ACTIVATION_BITS]),
        .shift_i      (beat_valid_o),
        .single_i     (single_q),
        .units_i      (links[(s+1)*DRAIN*UNIT_BITS+:DRAIN*UNIT_BITS]),
        .units_o      (links[s*DRAIN*UNIT_BITS+:DRAIN*UNIT_BITS]),
        .parity_error_o(parity_errors[s])
    );
  end

  if (PARITY) begin : gen_parity
    always_ff @(posedge clk_i) parity_error_o <= !rst_i && parity_errors != '0;
  end else begin : gen_no_parity
    assign parity_error_o = parity_errors != '0;  // never
  end

  // The last segment has loaded its sums when `loaded` is set: all units are then in the shift register.
  logic loaded, single;
  logic [TAG_BITS-1:0] tag;
  logic [FLAGS-1:0] flags;
  logic [COUNT_BITS-1:0] count, left_q;
  delay_flag #(
      .CYCLES(LOADED)
  ) u_loaded (
      .clk_i,
      .rst_i,
      .data_i(last_i && valid_i),
      .data_o(loaded)
  );
  delay #(
      .WIDTH (FLAGS + TAG_BITS + COUNT_BITS + 1),
      .CYCLES(LOADED)
  ) u_tag (
      .clk_i,
      .data_i({flags_i, single_i, tag_i, count_i}),
      .data_o({flags, single, tag, count})
  );

  always_ff @(posedge clk_i) begin
    if (rst_i) {beat_flags_o, beat_valid_o} <= '0;
    else if (loaded) {beat_flags_o, beat_valid_o} <= {flags, 1'b1};
    else if (left_q == '0) {beat_flags_o, beat_valid_o} <= '0;

    if (loaded) begin
      {single_q, beat_tag_o} <= {single, tag};
      beat_item_o <= tag[ITEM_BITS-1:0];
      left_q <= count;
    end else begin
      beat_item_o <= beat_item_o + 1'b1;
      left_q <= left_q - COUNT_BITS'(left_q != '0);
    end
  end
  assign beat_o = links[DRAIN*UNIT_BITS-1:0];
  assign beat_last_o = left_q == '0;
endmodule
