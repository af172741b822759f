// SPDX-License-Identifier: Apache-2.0
// A segment of the multiply-accumulate array: its weights, its chains, their accumulators, and its part of
// the shift register through which finished sums leave.
//
// Serves UNITS units of four sums each. With PACK = 2 a DSP48E1 makes two products that share the
// activation (8-bit weights w1, w0 as w1 * 2^17 + w0; see docs/architecture.md): chain 2u yields sums 0
// and 1 of unit u, chain 2u+1 sums 2 and 3. With PACK = 1 chain 4u+k yields sum k.
//
// With SUMS < 4 there is one unit, and a job makes SUMS of its four sums, in their order: the shift
// register gathers them over 4 / SUMS jobs.
//
// Of the DEPTH inputs per cycle, the first DSP_DEPTH are multiplied in DSP48E1s, the rest in LUTs, which
// suits narrow weights. The sum of the LUT products enters the chain as the first DSP48E1's addend, which costs
// no further adder; the DSP48E1s start SKEW cycles later.
//
// With PARITY a chain's word has one bit more, for an even number of ones; a word read with an odd number is reported.
//
// Timing: the control bundle comes in cycle 0, its activations in cycle 2; accumulators hold the result
// DSP_DEPTH + SKEW + 5 cycles after the bundle with last_i, and are loaded into the shift register one cycle
// later. The register shifts by one unit, or by DRAIN units.
module mac_segment #(
    parameter int UNITS = 9,
    parameter int SUMS = 4,        // sums of a unit that a job makes
    parameter int DSP_DEPTH = 4,
    parameter int LUT_DEPTH = 0,
    parameter int DRAIN = 1,
    parameter int PACK = 2,
    parameter int WEIGHT_BITS = 8,
    parameter int ACTIVATION_BITS = 8,
    parameter int SUM_BITS = 24,
    parameter int WORDS = 512,
    parameter int ROW_BITS = 9,    // shape of the weight memories (rom.sv)
    parameter logic [15:0] NUMBER = "00",  // number of this segment, as text: in its memories' file names
    parameter bit PARITY = 1'b0,
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
    output logic [DRAIN*UNIT_BITS-1:0]       units_o,
    output logic                             parity_error_o
);
  `include "zynq_lstm_constants.svh"
  localparam int CHAINS = UNITS * SUMS / PACK;
  localparam int DSP_WORD = DSP_DEPTH * PACK * WEIGHT_BITS;  // a chain's word
  localparam int LUT_WORD = LUT_DEPTH * PACK * WEIGHT_BITS;
  // The upper product in a packed word is above FIELD_BITS bits, which the sum of the lower products must fit.
  localparam int FACTOR_BITS = PACK == 2 ? FIELD_BITS + WEIGHT_BITS : WEIGHT_BITS;
  localparam int CHAIN_BITS = FACTOR_BITS + ACTIVATION_BITS + $clog2(DEPTH) + 1;
  localparam int PAIRS = (WEIGHT_BITS + 1) / 2;
  localparam int PRODUCT_BITS = WEIGHT_BITS + ACTIVATION_BITS;
  localparam int TREE_BITS = PRODUCT_BITS + $clog2(LUT_DEPTH > 0 ? LUT_DEPTH : 1);
  localparam int TREE_LATENCY = 1 + $clog2(PAIRS) + $clog2(LUT_DEPTH > 0 ? LUT_DEPTH : 1);
  localparam int SKEW = LUT_DEPTH > 0 ? SKEW_LATENCY : 0;
  localparam int SUMMED = DSP_DEPTH + SKEW + ARRAY_LATENCY - 1;  // from the bundle to the accumulators

`ifndef __ICARUS__  // which has no elaboration-time errors
  if (PACK != 1 && PACK != 2) begin : gen_bad_pack
    $error("%m: PACK must be 1 or 2");
  end
  if (SUMS != 4 && (SUMS != 1 && SUMS != 2 || UNITS != 1 || SUMS < PACK)) begin : gen_bad_sums
    $error("%m: SUMS must be 4, or for one unit 2 or 1, and at least PACK");
  end
  if (PACK == 2 && DEPTH * ((1 << (WEIGHT_BITS - 1)) - 1) << (ACTIVATION_BITS - 1) >= 1 << (FIELD_BITS - 1))
  begin : gen_bad_packing
    $error("%m: DEPTH products of WEIGHT_BITS by ACTIVATION_BITS must sum up to less than 2^16");
  end
  if (LUT_DEPTH > 0 && TREE_LATENCY > SKEW + 2) begin : gen_bad_tree
    $error("%m: LUT products must be summed by the time that the first DSP48E1 adds them");
  end
  if (UNITS < DRAIN) begin : gen_bad_drain
    $error("%m: UNITS must be at least DRAIN");
  end
`endif

  localparam int PARITY_BITS = PARITY ? 1 : 0;  // in a chain's word, above the weights
  logic [CHAINS*(DSP_WORD+PARITY_BITS)-1:0] dsp_stored;
  logic [CHAINS*DSP_WORD-1:0] dsp_word;
  logic dsp_parity_error, lut_parity_error;
  logic [ADDRESS_BITS-1:0] dsp_address;
  delay #(
      .WIDTH (ADDRESS_BITS),
      .CYCLES(SKEW)
  ) u_dsp_address (
      .clk_i,
      .data_i(address_i),
      .data_o(dsp_address)
  );
  rom #(
      .WIDTH(CHAINS * (DSP_WORD + PARITY_BITS)),
      .DEPTH(WORDS),
      .ROW_BITS(ROW_BITS),
      .FILE ({"weights_", NUMBER, ".mem"})
  ) u_dsp_weights (
      .clk_i,
      .address_i(dsp_address),
      .data_o   (dsp_stored)
  );
  for (genvar n = 0; n < CHAINS; n++) begin : gen_dsp_word
    assign dsp_word[n*DSP_WORD+:DSP_WORD] = dsp_stored[n*(DSP_WORD+PARITY_BITS)+:DSP_WORD];
  end
  if (PARITY) begin : gen_dsp_parity
    logic valid;
    delay_flag #(
        .CYCLES(SKEW + 2)
    ) u_valid (
        .clk_i,
        .rst_i,
        .data_i(valid_i),
        .data_o(valid)
    );
    parity_check #(
        .COUNT(CHAINS),
        .WIDTH(DSP_WORD + 1)
    ) u_check (
        .clk_i,
        .rst_i,
        .valid_i(valid),
        .parts_i(dsp_stored),
        .error_o(dsp_parity_error)
    );
  end else begin : gen_no_dsp_parity
    assign dsp_parity_error = 1'b0;
  end
  assign parity_error_o = dsp_parity_error || lut_parity_error;

  // Activation j meets its multiplier j cycles after activation 0.
  logic [DSP_DEPTH*ACTIVATION_BITS-1:0] activations;
  for (genvar j = 0; j < DSP_DEPTH; j++) begin : gen_skew
    delay #(
        .WIDTH (ACTIVATION_BITS),
        .CYCLES(SKEW + j)
    ) u_skew (
        .clk_i,
        .data_i(activations_i[j*ACTIVATION_BITS+:ACTIVATION_BITS]),
        .data_o(activations[j*ACTIVATION_BITS+:ACTIVATION_BITS])
    );
  end

  // Each chain's addend. With two sums in a word it also adds half of the upper field's unit: the upper field is
  // then right, whatever the sign of the lower field, whose sign bit comes out inverted.
  logic [CHAINS*CHAIN_BITS-1:0] addends;
  if (LUT_DEPTH == 0) begin : gen_no_tree
    assign addends = {CHAINS{CHAIN_BITS'(PACK == 2 ? 1 << (FIELD_BITS - 1) : 0)}};
    assign lut_parity_error = 1'b0;
  end else begin : gen_tree
    logic [CHAINS*(LUT_WORD+PARITY_BITS)-1:0] lut_stored;
    logic [CHAINS*LUT_WORD-1:0] lut_word;
    rom #(
        .WIDTH(CHAINS * (LUT_WORD + PARITY_BITS)),
        .DEPTH(WORDS),
        .ROW_BITS(ROW_BITS),
        .FILE ({"lut_weights_", NUMBER, ".mem"})
    ) u_lut_weights (
        .clk_i,
        .address_i,
        .data_o(lut_stored)
    );
    for (genvar n = 0; n < CHAINS; n++) begin : gen_word
      assign lut_word[n*LUT_WORD+:LUT_WORD] = lut_stored[n*(LUT_WORD+PARITY_BITS)+:LUT_WORD];
    end
    if (PARITY) begin : gen_parity
      logic valid;
      delay_flag #(
          .CYCLES(2)
      ) u_valid (
          .clk_i,
          .rst_i,
          .data_i(valid_i),
          .data_o(valid)
      );
      parity_check #(
          .COUNT(CHAINS),
          .WIDTH(LUT_WORD + 1)
      ) u_check (
          .clk_i,
          .rst_i,
          .valid_i(valid),
          .parts_i(lut_stored),
          .error_o(lut_parity_error)
      );
    end else begin : gen_no_parity
      assign lut_parity_error = 1'b0;
    end
    for (genvar n = 0; n < CHAINS; n++) begin : gen_addend
      logic signed [PACK*TREE_BITS-1:0] trees;
      for (genvar k = 0; k < PACK; k++) begin : gen_sum
        logic [LUT_DEPTH*PRODUCT_BITS-1:0] products;
        logic signed [TREE_BITS-1:0] tree;
        for (genvar j = 0; j < LUT_DEPTH; j++) begin : gen_product
          lut_multiply #(
              .WEIGHT_BITS    (WEIGHT_BITS),
              .ACTIVATION_BITS(ACTIVATION_BITS)
          ) u_product (
              .clk_i,
              .weight_i    (lut_word[((n*LUT_DEPTH+j)*PACK+k)*WEIGHT_BITS+:WEIGHT_BITS]),
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
            .CYCLES(SKEW + 2 - TREE_LATENCY)
        ) u_align (
            .clk_i,
            .data_i(tree),
            .data_o(trees[k*TREE_BITS+:TREE_BITS])
        );
      end
      if (PACK == 2) begin : gen_packed
        // upper * 2^17 + lower + 2^16, which is only wiring: adding 2^16 to a 17-bit number inverts its sign bit.
        logic signed [FIELD_BITS-1:0] lower;
        assign lower = FIELD_BITS'($signed(trees[TREE_BITS-1:0]));
        assign addends[n*CHAIN_BITS+:CHAIN_BITS] = {
          (CHAIN_BITS - FIELD_BITS)'($signed(trees[TREE_BITS+:TREE_BITS])), ~lower[FIELD_BITS-1], lower[FIELD_BITS-2:0]
        };
      end else begin : gen_single
        assign addends[n*CHAIN_BITS+:CHAIN_BITS] = CHAIN_BITS'(trees);
      end
    end
  end

  // valid and first coincide with the chain's result; last comes a cycle later, with the finished accumulator.
  logic valid, first, last;
  delay_flag #(
      .WIDTH (2),
      .CYCLES(SUMMED - 1)
  ) u_valid (
      .clk_i,
      .rst_i,
      .data_i({valid_i, first_i}),
      .data_o({valid, first})
  );
  delay_flag #(
      .CYCLES(SUMMED)
  ) u_last (
      .clk_i,
      .rst_i,
      .data_i(last_i),
      .data_o(last)
  );

  logic [UNITS*SUMS*SUM_BITS-1:0] sums;
  for (genvar n = 0; n < CHAINS; n++) begin : gen_chain
    logic [DSP_DEPTH*FACTOR_BITS-1:0] factors;
    // verilator lint_off UNUSEDSIGNAL  // a sum is proved to fit SUM_BITS, which may be fewer
    logic signed [CHAIN_BITS-1:0] result;
    // verilator lint_on UNUSEDSIGNAL
    for (genvar j = 0; j < DSP_DEPTH; j++) begin : gen_factor
      localparam int AT = (n * DSP_DEPTH + j) * PACK * WEIGHT_BITS;
      if (PACK == 2) begin : gen_packed
        // The memory holds w1 - (w0 < 0) above w0, so that w1 * 2^17 + w0 is only wiring.
        assign factors[j*FACTOR_BITS+:FACTOR_BITS] = {
          dsp_word[AT+WEIGHT_BITS+:WEIGHT_BITS],
          {(FIELD_BITS - WEIGHT_BITS) {dsp_word[AT+WEIGHT_BITS-1]}},
          dsp_word[AT+:WEIGHT_BITS]
        };
      end else begin : gen_single
        assign factors[j*FACTOR_BITS+:FACTOR_BITS] = dsp_word[AT+:WEIGHT_BITS];
      end
    end

    mac_chain #(
        .DEPTH          (DSP_DEPTH),
        .WEIGHT_BITS    (FACTOR_BITS),
        .ACTIVATION_BITS(ACTIVATION_BITS),
        .SUM_BITS       (CHAIN_BITS)
    ) u_chain (
        .clk_i,
        .weights_i    (factors),
        .activations_i(activations),
        .addend_i     (addends[n*CHAIN_BITS+:CHAIN_BITS]),
        .sum_o        (result)
    );

    for (genvar k = 0; k < PACK; k++) begin : gen_sum
      logic signed [SUM_BITS-1:0] term, sum_q;
      if (PACK == 1) begin : gen_whole
        assign term = SUM_BITS'(result);
      end else if (k == 1) begin : gen_upper
        assign term = SUM_BITS'($signed(result[CHAIN_BITS-1:FIELD_BITS]));
      end else begin : gen_lower
        assign term = SUM_BITS'($signed({~result[FIELD_BITS-1], result[FIELD_BITS-2:0]}));
      end
      always_ff @(posedge clk_i) begin
        if (valid) sum_q <= (first ? '0 : sum_q) + term;
      end
      assign sums[(n*PACK+k)*SUM_BITS+:SUM_BITS] = sum_q;
    end
  end

  logic [UNITS*UNIT_BITS-1:0] drain_q;
  if (SUMS == 4) begin : gen_drain
    always_ff @(posedge clk_i) begin
      if (last) drain_q <= sums;
      else if (shift_i) begin
        drain_q <= single_i ? (UNITS * UNIT_BITS)'({units_i, drain_q} >> UNIT_BITS)
            : (UNITS * UNIT_BITS)'({units_i, drain_q} >> (DRAIN * UNIT_BITS));
      end
    end
  end else begin : gen_gather
    always_ff @(posedge clk_i) begin
      if (last) drain_q <= {sums, drain_q[UNIT_BITS-1:SUMS*SUM_BITS]};
    end
    logic unused_shift;
    assign unused_shift = ^{shift_i, single_i, units_i};
  end
  assign units_o = drain_q[DRAIN*UNIT_BITS-1:0];
endmodule
