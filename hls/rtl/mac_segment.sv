// SPDX-License-Identifier: Apache-2.0
// A share of the multiply-accumulate array: its weights, its chains, their accumulators, and its part of
// the shift register through which finished sums leave.
//
// Serves UNITS units of four sums each. With PACK = 2 a DSP48E1 makes two products that share the
// activation (8-bit weights w1, w0 as w1 * 2^17 + w0; see docs/architecture.md): chain 2u yields sums 0
// and 1 of unit u, chain 2u+1 sums 2 and 3. With PACK = 1 chain 4u+k yields sum k.
//
// Of the DEPTH inputs a cycle, the first DSP_DEPTH are multiplied in DSP48E1s, the rest in LUTs, which is
// for narrow weights, or to put more lanes on a chip than its DSPs allow.
//
// Timing: the control bundle comes in cycle 0, its activations in cycle 2; accumulators hold the result
// DSP_DEPTH + 5 cycles after the bundle with last_i (one more with LUT products), and are loaded into the
// shift register one cycle later. It shifts by one unit, or by DRAIN units.
module mac_segment #(
    parameter int UNITS = 9,
    parameter int DSP_DEPTH = 4,
    parameter int LUT_DEPTH = 0,
    parameter int DRAIN = 1,
    parameter int PACK = 2,
    parameter int WEIGHT_BITS = 8,
    parameter int ACTIVATION_BITS = 8,
    parameter int SUM_BITS = 24,
    parameter int WORDS = 512,
    parameter FILE = "",
    localparam int DEPTH = DSP_DEPTH + LUT_DEPTH,
    localparam int ADDRESS_BITS = WORDS > 1 ? $clog2(WORDS) : 1,
    localparam int UNIT_BITS = 4 * SUM_BITS
) (
    input  logic                             clk_i,
    input  logic                             rst_i,
    input  logic [ADDRESS_BITS-1:0]          address_i,
    input  logic                             valid_i,
    input  logic                             first_i,
    input  logic                             last_i,
    input  logic [DEPTH*ACTIVATION_BITS-1:0] activations_i,
    input  logic                             shift_i,
    input  logic                             single_i,
    input  logic [DRAIN*UNIT_BITS-1:0]       units_i,
    output logic [DRAIN*UNIT_BITS-1:0]       units_o
);
  localparam int CHAINS = UNITS * 4 / PACK;
  localparam int CHAIN_WORD = DEPTH * PACK * WEIGHT_BITS;
  // Position of the upper product in a packed word: four products of 8 x 8 bits fit the 17 bits below it.
  localparam int FIELD = 17;
  localparam int FACTOR_BITS = PACK == 2 ? FIELD + WEIGHT_BITS : WEIGHT_BITS;
  localparam int CHAIN_BITS = FACTOR_BITS + ACTIVATION_BITS + $clog2(DSP_DEPTH) + 1;
  localparam int PAIRS = (WEIGHT_BITS + 1) / 2;
  localparam int PRODUCT_BITS = 2 * PAIRS + ACTIVATION_BITS + $clog2(PAIRS);
  localparam int TREE_BITS = PRODUCT_BITS + $clog2(LUT_DEPTH > 0 ? LUT_DEPTH : 1);
  localparam int TREE_LATENCY = 1 + $clog2(PAIRS) + $clog2(LUT_DEPTH > 0 ? LUT_DEPTH : 1);
  localparam int COMBINE = LUT_DEPTH > 0 ? 1 : 0;

`ifndef __ICARUS__  // which has no elaboration-time errors
  if (PACK != 1 && PACK != 2) begin : gen_bad_pack
    $error("%m: PACK must be 1 or 2");
  end
  if (PACK == 2 && (WEIGHT_BITS > 8 || ACTIVATION_BITS > 8 || DSP_DEPTH > 4)) begin : gen_bad_packing
    $error("%m: two products a DSP48E1 need at most 8-bit weights and activations, and chains of at most 4");
  end
  if (LUT_DEPTH > 0 && TREE_LATENCY > DSP_DEPTH + 2) begin : gen_bad_tree
    $error("%m: LUT products must be summed by the time that the DSP48E1s are");
  end
  if (UNITS < DRAIN) begin : gen_bad_drain
    $error("%m: UNITS must be at least DRAIN");
  end
`endif

  logic [CHAINS*CHAIN_WORD-1:0] word;
  rom #(
      .WIDTH(CHAINS * CHAIN_WORD),
      .DEPTH(WORDS),
      .FILE (FILE)
  ) u_weights (
      .clk_i,
      .address_i,
      .data_o(word)
  );

  // Activation j meets its multiplier j cycles after activation 0.
  logic [DSP_DEPTH*ACTIVATION_BITS-1:0] activations;
  for (genvar j = 0; j < DSP_DEPTH; j++) begin : gen_skew
    delay #(
        .WIDTH (ACTIVATION_BITS),
        .CYCLES(j)
    ) u_skew (
        .clk_i,
        .data_i(activations_i[j*ACTIVATION_BITS+:ACTIVATION_BITS]),
        .data_o(activations[j*ACTIVATION_BITS+:ACTIVATION_BITS])
    );
  end

  // valid and first meet the chain's result; last comes a cycle later, with the finished accumulator.
  logic valid, first, last;
  delay_flag #(
      .WIDTH (2),
      .CYCLES(DSP_DEPTH + COMBINE + 4)
  ) u_valid (
      .clk_i,
      .rst_i,
      .data_i({valid_i, first_i}),
      .data_o({valid, first})
  );
  delay_flag #(
      .CYCLES(DSP_DEPTH + COMBINE + 5)
  ) u_last (
      .clk_i,
      .rst_i,
      .data_i(last_i),
      .data_o(last)
  );

  logic [UNITS*UNIT_BITS-1:0] sums;
  for (genvar n = 0; n < CHAINS; n++) begin : gen_chain
    logic [DSP_DEPTH*FACTOR_BITS-1:0] factors;
    // verilator lint_off UNUSEDSIGNAL  // a sum is proved to fit SUM_BITS, which may be fewer
    logic signed [CHAIN_BITS-1:0] result;
    // verilator lint_on UNUSEDSIGNAL
    for (genvar j = 0; j < DSP_DEPTH; j++) begin : gen_factor
      localparam int AT = (n * DEPTH + j) * PACK * WEIGHT_BITS;
      if (PACK == 2) begin : gen_packed
        // The memory holds w1 - (w0 < 0) above w0, so that w1 * 2^17 + w0 is wiring only.
        assign factors[j*FACTOR_BITS+:FACTOR_BITS] = {
          word[AT+WEIGHT_BITS+:WEIGHT_BITS],
          {(FIELD - WEIGHT_BITS) {word[AT+WEIGHT_BITS-1]}},
          word[AT+:WEIGHT_BITS]
        };
      end else begin : gen_single
        assign factors[j*FACTOR_BITS+:FACTOR_BITS] = word[AT+:WEIGHT_BITS];
      end
    end

    mac_chain #(
        .DEPTH          (DSP_DEPTH),
        .WEIGHT_BITS    (FACTOR_BITS),
        .ACTIVATION_BITS(ACTIVATION_BITS),
        .SUM_BITS       (CHAIN_BITS),
        // Half of the upper field's unit: the upper field is then right as it stands, whatever the
        // sign of the lower one, and the lower one's sign bit comes out inverted.
        .OFFSET         (PACK == 2 ? 1 << (FIELD - 1) : 0)
    ) u_chain (
        .clk_i,
        .weights_i    (factors),
        .activations_i(activations),
        .sum_o        (result)
    );

    for (genvar k = 0; k < PACK; k++) begin : gen_sum
      logic signed [SUM_BITS-1:0] dsp_term, term, sum_q;
      if (PACK == 1) begin : gen_whole
        assign dsp_term = SUM_BITS'(result);
      end else if (k == 1) begin : gen_upper
        assign dsp_term = SUM_BITS'($signed(result[CHAIN_BITS-1:FIELD]));
      end else begin : gen_lower
        assign dsp_term = SUM_BITS'($signed({~result[FIELD-1], result[FIELD-2:0]}));
      end
      if (LUT_DEPTH == 0) begin : gen_dsp_only
        assign term = dsp_term;
      end else begin : gen_lut
        logic [LUT_DEPTH*PRODUCT_BITS-1:0] products;
        logic signed [TREE_BITS-1:0] tree;
        // verilator lint_off UNUSEDSIGNAL  // a sum is proved to fit SUM_BITS, which may be fewer
        logic signed [TREE_BITS-1:0] tree_aligned;
        // verilator lint_on UNUSEDSIGNAL
        logic signed [SUM_BITS-1:0] term_q;
        for (genvar j = 0; j < LUT_DEPTH; j++) begin : gen_product
          localparam int AT = ((n * DEPTH + DSP_DEPTH + j) * PACK + k) * WEIGHT_BITS;
          lut_multiply #(
              .WEIGHT_BITS    (WEIGHT_BITS),
              .ACTIVATION_BITS(ACTIVATION_BITS)
          ) u_product (
              .clk_i,
              .weight_i    (word[AT+:WEIGHT_BITS]),
              .activation_i(activations_i[(DSP_DEPTH+j)*ACTIVATION_BITS+:ACTIVATION_BITS]),
              .product_o   (products[j*PRODUCT_BITS+:PRODUCT_BITS])
          );
        end
        adder_tree #(
            .COUNT(LUT_DEPTH),
            .WIDTH(PRODUCT_BITS)
        ) u_tree (
            .clk_i,
            .values_i(products),
            .sum_o   (tree)
        );
        delay #(
            .WIDTH (TREE_BITS),
            .CYCLES(DSP_DEPTH + 2 - TREE_LATENCY)
        ) u_align (
            .clk_i,
            .data_i(tree),
            .data_o(tree_aligned)
        );
        always_ff @(posedge clk_i) begin
          term_q <= dsp_term + SUM_BITS'(tree_aligned);
        end
        assign term = term_q;
      end
      always_ff @(posedge clk_i) begin
        if (valid) sum_q <= (first ? '0 : sum_q) + term;
      end
      assign sums[(n*PACK+k)*SUM_BITS+:SUM_BITS] = sum_q;
    end
  end

  logic [UNITS*UNIT_BITS-1:0] drain_q;
  always_ff @(posedge clk_i) begin
    if (last) drain_q <= sums;
    else if (shift_i) begin
      drain_q <= single_i ? (UNITS * UNIT_BITS)'({units_i, drain_q} >> UNIT_BITS)
          : (UNITS * UNIT_BITS)'({units_i, drain_q} >> (DRAIN * UNIT_BITS));
    end
  end
  assign units_o = drain_q[DRAIN*UNIT_BITS-1:0];
endmodule
