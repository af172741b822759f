// SPDX-License-Identifier: Apache-2.0
// Chooses the next character: the largest logit + T * noise, or the lowest code if several are equal. T = 0 gives the
// likeliest character, T > 0 a draw from softmax(logits / T) (the Gumbel-max rule). Four logits per cycle.
// Latency: 5 from a word of sums (valid_i) to its logits, 9 from the last word of sums to the character.
module character_choice #(
    parameter int VOCABULARY = 90,
    parameter int LOGIT_BITS = 16,
    parameter int NOISE_BITS = 16,
    parameter int TABLE_BITS = 14,          // width of the noise table's entries
    parameter int TEMPERATURE_BITS = 12,    // unsigned
    parameter int SCORE_BITS = 28,
    parameter int LOGIT_SHIFT = 8,          // left shift that aligns logits; NOISE_SHIFT aligns noise times temperature
    parameter int NOISE_SHIFT = 0,
    parameter logic [SCORE_BITS-1:0] LOSER = '0,  // below the score of any code, whatever its noise
    parameter logic [25*NOISE_BITS-1:0] NOISE_TAIL = '0,
    parameter logic [127:0] INITIAL = '0,
    localparam int WORDS = (VOCABULARY + 3) / 4,
    localparam int WORD_BITS = WORDS > 1 ? $clog2(WORDS) : 1,
    localparam int CODE_BITS = WORD_BITS + 2
) (
    input  logic                        clk_i,
    input  logic                        rst_i,
    input  logic                        seed_write_i,
    input  logic [31:0]                 seed_i,
    input  logic [TEMPERATURE_BITS-1:0] temperature_i,  // taken with a character's first word
    input  logic                        valid_i,
    input  logic                        sample_i,       // the character is to be chosen, which uses up noise
    input  logic [WORD_BITS-1:0]        word_i,
    input  logic [4*LOGIT_BITS-1:0]     logits_i,       // LOGITS_LATENCY cycles after valid_i
    input  logic                        logits_valid_i,
    input  logic                        logits_last_i,
    output logic                        character_valid_o,
    output logic [CODE_BITS-1:0]        character_o
);
  `include "zynq_lstm_constants.svh"
  localparam int PRODUCT_BITS = NOISE_BITS + TEMPERATURE_BITS;  // one factor is unsigned

  logic [4*NOISE_BITS-1:0] noise;
  gumbel_noise #(
      .NOISE_BITS(NOISE_BITS),
      .TABLE_BITS(TABLE_BITS),
      .TAIL      (NOISE_TAIL),
      .INITIAL   (INITIAL)
  ) u_noise (
      .clk_i,
      .rst_i,
      .seed_i (seed_write_i),
      .value_i(seed_i),
      .step_i (valid_i && sample_i),
      .noise_o(noise)
  );
  logic [TEMPERATURE_BITS-1:0] temperature_q;
  always_ff @(posedge clk_i) if (valid_i && word_i == '0) temperature_q <= temperature_i;

  logic [WORD_BITS-1:0] word_5;
  delay #(.WIDTH(WORD_BITS), .CYCLES(LOGITS_LATENCY)) u_word (.clk_i, .data_i(word_i), .data_o(word_5));

  // ---- cycles 4 to 6: registers of the DSP48E1 for operands, product, and sum with the logit
  logic signed [SCORE_BITS-1:0] scores_6_q[0:3];
  for (genvar k = 0; k < 4; k++) begin : gen_score
    localparam int USED = (VOCABULARY + 3 - k) / 4;
    logic signed [NOISE_BITS-1:0] noise_4_q;
    logic signed [TEMPERATURE_BITS:0] temperature_4_q;
    logic signed [PRODUCT_BITS-1:0] product_5_q;
    logic signed [SCORE_BITS-1:0] logit;
    if (USED == WORDS) begin : gen_used
      assign logit = SCORE_BITS'($signed(logits_i[k*LOGIT_BITS+:LOGIT_BITS])) <<< LOGIT_SHIFT;
    end else begin : gen_partly
      assign logit = logits_last_i ? LOSER
          : SCORE_BITS'($signed(logits_i[k*LOGIT_BITS+:LOGIT_BITS])) <<< LOGIT_SHIFT;
    end
    always_ff @(posedge clk_i) begin
      noise_4_q <= noise[k*NOISE_BITS+:NOISE_BITS];
      temperature_4_q <= $signed({1'b0, temperature_q});
      product_5_q <= noise_4_q * temperature_4_q;
      scores_6_q[k] <= (SCORE_BITS'(product_5_q) <<< NOISE_SHIFT) + logit;
    end
  end

  // ---- cycles 7 to 9: the largest of a word, then the largest so far
  logic signed [SCORE_BITS-1:0] left_7_q, right_7_q, best_8_q, best_9_q;
  logic left_at_7_q, right_at_7_q, last_6_q, last_7_q, last_8_q, valid_6_q, valid_7_q, valid_8_q;
  logic [1:0] at_8_q;
  logic [WORD_BITS-1:0] word_6_q, word_7_q, word_8_q;
  always_ff @(posedge clk_i) begin
    left_at_7_q <= scores_6_q[1] > scores_6_q[0];
    right_at_7_q <= scores_6_q[3] > scores_6_q[2];
    left_7_q <= scores_6_q[1] > scores_6_q[0] ? scores_6_q[1] : scores_6_q[0];
    right_7_q <= scores_6_q[3] > scores_6_q[2] ? scores_6_q[3] : scores_6_q[2];
    best_8_q <= right_7_q > left_7_q ? right_7_q : left_7_q;
    at_8_q <= right_7_q > left_7_q ? {1'b1, right_at_7_q} : {1'b0, left_at_7_q};
    {word_8_q, word_7_q, word_6_q} <= {word_7_q, word_6_q, word_5};
    {last_8_q, last_7_q, last_6_q} <= {last_7_q, last_6_q, logits_last_i};
    if (valid_8_q && (word_8_q == '0 || best_8_q > best_9_q)) begin
      best_9_q <= best_8_q;
      character_o <= {word_8_q, at_8_q};
    end
    if (rst_i) {valid_8_q, valid_7_q, valid_6_q, character_valid_o} <= '0;
    else begin
      {valid_8_q, valid_7_q, valid_6_q} <= {valid_7_q, valid_6_q, logits_valid_i};
      character_valid_o <= valid_8_q && last_8_q;
    end
  end
endmodule
