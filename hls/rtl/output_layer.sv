// SPDX-License-Identifier: Apache-2.0
// From the output layer's sums to logits and to the most likely character, four sums a cycle.
//   logit = round(h.W + b); the character with the largest logit, of equal ones that with the lowest code.
// Latency 5 to the logits, 8 from the last word to the character; throughput 1.
module output_layer #(
    parameter int VOCABULARY = 90,
    parameter int SUM_BITS = 24,
    parameter int BIAS_BITS = 20,     // aligned
    parameter int TOTAL_BITS = 26,    // of h.W + b, aligned
    parameter int SUM_SHIFT = 0,      // left shift that aligns h.W
    parameter int LOGIT_SHIFT = 3,             // fraction bits dropped
    parameter bit LOGIT_HALF = 1'b1,
    parameter int LOGIT_BITS = 16,
    localparam int WORDS = (VOCABULARY + 3) / 4,
    localparam int WORD_BITS = WORDS > 1 ? $clog2(WORDS) : 1,
    localparam int CODE_BITS = WORD_BITS + 2
) (
    input  logic                    clk_i,
    input  logic                    rst_i,
    input  logic                    valid_i,
    input  logic [WORD_BITS-1:0]    word_i,
    input  logic [4*SUM_BITS-1:0]   sums_i,
    output logic                    logits_valid_o,
    output logic                    logits_last_o,
    output logic [4*LOGIT_BITS-1:0] logits_o,
    output logic                    character_valid_o,
    output logic [CODE_BITS-1:0]    character_o
);
  logic [4*BIAS_BITS-1:0] bias_0, bias;
  lut_rom #(
      .WIDTH(4 * BIAS_BITS),
      .DEPTH(WORDS),
      .FILE ("output_bias.mem")
  ) u_bias (
      .address_i(word_i),
      .data_o   (bias_0)
  );
  delay #(.WIDTH(4 * BIAS_BITS), .CYCLES(2)) u_bias_2 (.clk_i, .data_i(bias_0), .data_o(bias));
  logic [4*SUM_BITS-1:0] sums_2;
  logic [WORD_BITS-1:0] word_5;
  delay #(.WIDTH(4 * SUM_BITS), .CYCLES(2)) u_sums (.clk_i, .data_i(sums_i), .data_o(sums_2));
  delay #(.WIDTH(WORD_BITS), .CYCLES(5)) u_word (.clk_i, .data_i(word_i), .data_o(word_5));
  delay_flag #(.CYCLES(5)) u_valid (.clk_i, .rst_i, .data_i(valid_i), .data_o(logits_valid_o));
  logic last_5;
  delay #(
      .WIDTH (1),
      .CYCLES(5)
  ) u_last (
      .clk_i,
      .data_i(word_i == WORD_BITS'(WORDS - 1)),
      .data_o(last_5)
  );
  assign logits_last_o = last_5;

  logic [4*LOGIT_BITS-1:0] rounded;
  for (genvar k = 0; k < 4; k++) begin : gen_logit
    // Positions behind the vocabulary get the lowest value, which loses every comparison here.
    localparam int USED = (VOCABULARY + 3 - k) / 4;
    logic signed [TOTAL_BITS-1:0] total_3_q;
    always_ff @(posedge clk_i) begin
      total_3_q <= (TOTAL_BITS'($signed(sums_2[k*SUM_BITS+:SUM_BITS])) <<< SUM_SHIFT)
          + TOTAL_BITS'($signed(bias[k*BIAS_BITS+:BIAS_BITS]));
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

  // ---- cycles 6 to 8: the largest of a word, then the largest so far
  logic signed [LOGIT_BITS-1:0] left_6_q, right_6_q, best_7_q, best_8_q;
  logic left_at_6_q, right_at_6_q, last_6_q, last_7_q, valid_6_q, valid_7_q;
  logic [1:0] at_7_q;
  logic [WORD_BITS-1:0] word_6_q, word_7_q;
  always_ff @(posedge clk_i) begin
    left_at_6_q <= $signed(logits_o[LOGIT_BITS+:LOGIT_BITS]) > $signed(logits_o[0+:LOGIT_BITS]);
    right_at_6_q <=
        $signed(logits_o[3*LOGIT_BITS+:LOGIT_BITS]) > $signed(logits_o[2*LOGIT_BITS+:LOGIT_BITS]);
    left_6_q <= $signed(logits_o[LOGIT_BITS+:LOGIT_BITS]) > $signed(logits_o[0+:LOGIT_BITS])
        ? logits_o[LOGIT_BITS+:LOGIT_BITS] : logits_o[0+:LOGIT_BITS];
    right_6_q <= $signed(logits_o[3*LOGIT_BITS+:LOGIT_BITS]) > $signed(logits_o[2*LOGIT_BITS+:LOGIT_BITS])
        ? logits_o[3*LOGIT_BITS+:LOGIT_BITS] : logits_o[2*LOGIT_BITS+:LOGIT_BITS];
    best_7_q <= right_6_q > left_6_q ? right_6_q : left_6_q;
    at_7_q <= right_6_q > left_6_q ? {1'b1, right_at_6_q} : {1'b0, left_at_6_q};
    {word_7_q, word_6_q} <= {word_6_q, word_5};
    {last_7_q, last_6_q} <= {last_6_q, logits_last_o};
    if (valid_7_q && (word_7_q == '0 || best_7_q > best_8_q)) begin
      best_8_q <= best_7_q;
      character_o <= {word_7_q, at_7_q};
    end
    if (rst_i) {valid_7_q, valid_6_q, character_valid_o} <= '0;
    else begin
      {valid_7_q, valid_6_q} <= {valid_6_q, logits_valid_o};
      character_valid_o <= valid_7_q && last_7_q;
    end
  end

`ifdef ZYNQ_LSTM_TRACE
  logic [4*16-1:0] logit_words;
  for (genvar k = 0; k < 4; k++) begin : gen_logit_word
    assign logit_words[(3-k)*16+:16] = 16'($signed(logits_o[k*LOGIT_BITS+:LOGIT_BITS]));
  end
  trace_monitor #(
      .WORDS(4),
      .NAME ("trace_logits")
  ) u_trace (
      .clk_i,
      .valid_i(logits_valid_o),
      .flush_i(logits_last_o),
      .words_i(logit_words)
  );
`endif
endmodule
