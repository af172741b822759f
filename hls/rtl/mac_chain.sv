// SPDX-License-Identifier: Apache-2.0
// DEPTH products, summed along a cascade of DSP48E1s: the sum of weights[j] * activations[j], plus addend.
// All weights_i come in the same cycle; activations_i[j] must come j cycles later (the segment skews them
// once for all its chains), addend_i 2 cycles later. Latency DEPTH + 2 from weights_i, throughput 1.
// The registers are the DSP48E1's own: A and B (operands_q), M (product_q), P (sum_q).
module mac_chain #(
    parameter int DEPTH = 4,
    parameter int WEIGHT_BITS = 25,
    parameter int ACTIVATION_BITS = 8,
    parameter int SUM_BITS = 36
) (
    input  logic                             clk_i,
    input  logic [DEPTH*WEIGHT_BITS-1:0]     weights_i,
    input  logic [DEPTH*ACTIVATION_BITS-1:0] activations_i,
    input  logic [SUM_BITS-1:0]              addend_i,
    output logic signed [SUM_BITS-1:0]       sum_o
);
  logic [(DEPTH+1)*SUM_BITS-1:0] sums;
  assign sums[SUM_BITS-1:0] = addend_i;

  for (genvar j = 0; j < DEPTH; j++) begin : gen_dsp
    logic [WEIGHT_BITS-1:0] weight;
    logic signed [WEIGHT_BITS-1:0] a_q;
    logic signed [ACTIVATION_BITS-1:0] b_q;
    logic signed [WEIGHT_BITS+ACTIVATION_BITS-1:0] m_q;
    logic signed [SUM_BITS-1:0] p_q;
    delay #(
        .WIDTH (WEIGHT_BITS),
        .CYCLES(j)
    ) u_skew (
        .clk_i,
        .data_i(weights_i[j*WEIGHT_BITS+:WEIGHT_BITS]),
        .data_o(weight)
    );
    always_ff @(posedge clk_i) begin
      a_q <= weight;
      b_q <= activations_i[j*ACTIVATION_BITS+:ACTIVATION_BITS];
      m_q <= a_q * b_q;
      p_q <= SUM_BITS'(m_q) + $signed(sums[j*SUM_BITS+:SUM_BITS]);
    end
    assign sums[(j+1)*SUM_BITS+:SUM_BITS] = p_q;
  end

  assign sum_o = sums[DEPTH*SUM_BITS+:SUM_BITS];
endmodule
