// SPDX-License-Identifier: Apache-2.0
// A small signed product in LUTs: each pair of the weight's bits times the activation is one carry chain, and an
// adder tree sums them. Written out because `*` would become a DSP48E1.
// Latency 1 + $clog2(pairs of bits), throughput 1.
module lut_multiply #(
    parameter int WEIGHT_BITS = 4,
    parameter int ACTIVATION_BITS = 8,
    localparam int PAIRS = (WEIGHT_BITS + 1) / 2,
    localparam int PRODUCT_BITS = WEIGHT_BITS + ACTIVATION_BITS
) (
    input  logic                              clk_i,
    input  logic signed [WEIGHT_BITS-1:0]     weight_i,
    input  logic signed [ACTIVATION_BITS-1:0] activation_i,
    output logic signed [PRODUCT_BITS-1:0]    product_o
);
  localparam int TERM_BITS = 2 * PAIRS + ACTIVATION_BITS;
  localparam int PART_BITS = ACTIVATION_BITS + 2;
  logic signed [2*PAIRS-1:0] weight;
  logic [PAIRS*TERM_BITS-1:0] terms;
  // verilator lint_off UNUSEDSIGNAL  // its uppermost bits repeat the sign
  logic signed [TERM_BITS+$clog2(PAIRS)-1:0] sum;
  // verilator lint_on UNUSEDSIGNAL
  assign weight = (2 * PAIRS)'(weight_i);

  for (genvar k = 0; k < PAIRS; k++) begin : gen_pair
    logic signed [PART_BITS-1:0] single, double, part_q;
    assign single = weight[2*k] ? PART_BITS'(activation_i) : '0;
    assign double = weight[2*k+1] ? PART_BITS'(activation_i) <<< 1 : '0;
    // The weight's highest bit has a negative place value.
    always_ff @(posedge clk_i) begin
      part_q <= k == PAIRS - 1 ? single - double : single + double;
    end
    assign terms[k*TERM_BITS+:TERM_BITS] = TERM_BITS'(part_q) <<< (2 * k);
  end
  adder_tree #(
      .COUNT(PAIRS),
      .WIDTH(TERM_BITS)
  ) u_sum (
      .clk_i,
      .values_i(terms),
      .sum_o   (sum)
  );
  // The factors' widths bound the product, so that the tree's upper bits are not needed.
  assign product_o = PRODUCT_BITS'(sum);
endmodule
