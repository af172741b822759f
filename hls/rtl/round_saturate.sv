// SPDX-License-Identifier: Apache-2.0
// The only place where this design rounds: drops SHIFT fraction bits and fits the result into OUT_BITS.
//   rounding  AP_RND (HALF = 1): to nearest, a tie goes up; AP_TRN (HALF = 0): down
//   overflow  AP_SAT: to MIN_VALUE or MAX_VALUE
// A negative SHIFT appends zeros instead. Latency 2, throughput 1.
module round_saturate #(
    parameter int IN_BITS = 24,
    parameter int SHIFT = 8,
    parameter int OUT_BITS = 10,
    parameter bit HALF = 1'b1,
    parameter int MIN_VALUE = -512,
    parameter int MAX_VALUE = 511
) (
    input  logic                       clk_i,
    input  logic signed [IN_BITS-1:0]  data_i,
    output logic        [OUT_BITS-1:0] data_o
);
  localparam int LEFT = SHIFT < 0 ? -SHIFT : 0;
  localparam int RIGHT = SHIFT > 0 ? SHIFT : 0;
  // One bit more than the input, or than the half that is added where that is wider; at least as wide as the
  // bounds.
  localparam int EXACT_BITS = (IN_BITS + LEFT > RIGHT ? IN_BITS + LEFT : RIGHT) + 1;
  localparam int WIDE = EXACT_BITS > OUT_BITS + 1 ? EXACT_BITS : OUT_BITS + 1;

  logic signed [WIDE-1:0] extended, half, rounded_q;
  assign extended = WIDE'(data_i) <<< LEFT;
  if (RIGHT > 0 && HALF) begin : gen_half
    assign half = WIDE'(1) <<< (RIGHT - 1);
  end else begin : gen_no_half
    assign half = '0;
  end

  always_ff @(posedge clk_i) begin
    rounded_q <= (extended + half) >>> RIGHT;
    if (rounded_q < WIDE'(MIN_VALUE)) data_o <= OUT_BITS'(MIN_VALUE);
    else if (rounded_q > WIDE'(MAX_VALUE)) data_o <= OUT_BITS'(MAX_VALUE);
    else data_o <= OUT_BITS'(rounded_q);
  end
endmodule
