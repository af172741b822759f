// SPDX-License-Identifier: Apache-2.0
// Computes logits from the output layer's sums, four per cycle: logit = round(h.W + b). Latency 5, throughput 1.
module output_layer #(
    parameter int VOCABULARY = 90,
    parameter int SUM_BITS = 24,
    parameter int BIAS_BITS = 20,     // aligned
    parameter int TOTAL_BITS = 26,    // width of h.W + b, aligned
    parameter int SUM_SHIFT = 0,      // left shift that aligns h.W
    parameter int LOGIT_SHIFT = 3,             // fraction bits dropped
    parameter bit LOGIT_HALF = 1'b1,
    parameter int LOGIT_BITS = 16,
    localparam int WORDS = (VOCABULARY + 3) / 4,
    localparam int WORD_BITS = WORDS > 1 ? $clog2(WORDS) : 1
) (
    input  logic                    clk_i,
    input  logic                    rst_i,
    input  logic                    valid_i,
    input  logic [WORD_BITS-1:0]    word_i,
    input  logic [4*SUM_BITS-1:0]   sums_i,
    output logic                    logits_valid_o,
    output logic                    logits_last_o,
    output logic [4*LOGIT_BITS-1:0] logits_o
);
  `include "zynq_lstm_constants.svh"
  logic [WORD_BITS-1:0] word_1_q;
  logic [4*BIAS_BITS-1:0] bias_1, bias_2_q;
  lut_rom #(
      .WIDTH(4 * BIAS_BITS),
      .DEPTH(WORDS),
      .FILE ("output_bias.mem")
  ) u_bias (
      .address_i(word_1_q),
      .data_o   (bias_1)
  );
  always_ff @(posedge clk_i) begin
    word_1_q <= word_i;
    bias_2_q <= bias_1;
  end
  logic [4*SUM_BITS-1:0] sums_2;
  delay #(.WIDTH(4 * SUM_BITS), .CYCLES(2)) u_sums (.clk_i, .data_i(sums_i), .data_o(sums_2));
  delay_flag #(.CYCLES(LOGITS_LATENCY)) u_valid (.clk_i, .rst_i, .data_i(valid_i), .data_o(logits_valid_o));
  logic last_5;
  delay #(
      .WIDTH (1),
      .CYCLES(LOGITS_LATENCY)
  ) u_last (
      .clk_i,
      .data_i(word_i == WORD_BITS'(WORDS - 1)),
      .data_o(last_5)
  );
  assign logits_last_o = last_5;

  logic [4*LOGIT_BITS-1:0] rounded;
  for (genvar k = 0; k < 4; k++) begin : gen_logit
    // Positions after the vocabulary hold the lowest value.
    localparam int USED = (VOCABULARY + 3 - k) / 4;
    logic signed [TOTAL_BITS-1:0] total_3_q;
    always_ff @(posedge clk_i) begin
      total_3_q <= (TOTAL_BITS'($signed(sums_2[k*SUM_BITS+:SUM_BITS])) <<< SUM_SHIFT)
          + TOTAL_BITS'($signed(bias_2_q[k*BIAS_BITS+:BIAS_BITS]));
    end
    round_saturate #(
        .IN_BITS  (TOTAL_BITS),
        .SHIFT    (LOGIT_SHIFT),
        .OUT_BITS (LOGIT_BITS),
        .HALF     (LOGIT_HALF),
        .MIN_VALUE(-(1 << (LOGIT_BITS - 1))),
        .MAX_VALUE((1 << (LOGIT_BITS - 1)) - 1)
    ) u_round (
        .clk_i,
        .data_i(total_3_q),
        .data_o(rounded[k*LOGIT_BITS+:LOGIT_BITS])
    );
    if (USED == WORDS) begin : gen_used
      assign logits_o[k*LOGIT_BITS+:LOGIT_BITS] = rounded[k*LOGIT_BITS+:LOGIT_BITS];
    end else begin : gen_partly
      assign logits_o[k*LOGIT_BITS+:LOGIT_BITS] = logits_last_o
          ? {1'b1, {(LOGIT_BITS - 1) {1'b0}}} : rounded[k*LOGIT_BITS+:LOGIT_BITS];
    end
  end

`ifdef ZYNQ_LSTM_TRACE
  logic [WORD_LOGITS*SIGNAL_BITS-1:0] logit_words;
  for (genvar k = 0; k < 4; k++) begin : gen_logit_word
    assign logit_words[(WORD_LOGITS-1-k)*SIGNAL_BITS+:SIGNAL_BITS] =
        SIGNAL_BITS'($signed(logits_o[k*LOGIT_BITS+:LOGIT_BITS]));
  end
  trace_monitor #(
      .WORDS(WORD_LOGITS),
      .BITS (SIGNAL_BITS),
      .NAME ("trace_logits")
  ) u_trace (
      .clk_i,
      .valid_i(logits_valid_o),
      .flush_i(logits_last_o),
      .words_i(logit_words)
  );
`endif
endmodule
