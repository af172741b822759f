// SPDX-License-Identifier: Apache-2.0
// Pseudo-random numbers: Marsaglia's 128-bit xorshift (Journal of Statistical Software 8(14), 2003), period
// 2^128 - 1, four outputs of 32 bits per step. The first DISCARDED outputs of a seed are skipped.
//   t = x ^ (x << 11);  x, y, z = y, z, w;  w = w ^ (w >> 19) ^ t ^ (t >> 8)
// A pipeline after it, AHEAD stages deep and moved by enable_o, holds the first word of four 18 + AHEAD cycles
// after a seed, and the next one 2 cycles after each step_i.
module xorshift128 #(
    parameter int AHEAD = 2,
    parameter logic [127:0] INITIAL = '0  // {w, z, y, x} before the seed
) (
    input  logic         clk_i,
    input  logic         rst_i,    // also seeds
    input  logic         seed_i,
    input  logic [31:0]  value_i,  // value of the seed
    input  logic         step_i,
    output logic         enable_o,
    output logic [127:0] words_o   // the first in the low bits
);
  `include "zynq_lstm_constants.svh"
  localparam int CYCLES = DISCARDED / WORD_LOGITS + 1 + AHEAD;  // words of outputs, and the state itself
  localparam int COUNT_BITS = $clog2(CYCLES + 1);

  // Four steps at once. Over GF(2), let t ^ (t >> 8) = B x and w ^ (w >> 19) = A w; then w' = A w + B x, and
  // A A = 1 makes each of the four a sum of at most seven terms. Each bit is written as one parity of state
  // bits, so that synthesis may balance it: two levels of LUTs, instead of four for the terms.
  logic [127:0] next;
  logic [50:0] w;             // zeros above bit 31, as in the others
  logic [3:0][4*51-1:0] b;    // four bits for each bit of B x, B y, B z and B w, which is their parity
  assign w = {19'd0, words_o[127:96]};
  for (genvar k = 0; k < 4; k++) begin : gen_word
    logic [58:0] word, left;
    assign word = {27'd0, words_o[32*k+:32]};
    assign left = {27'd0, words_o[32*k+:32] << 11};
    for (genvar n = 0; n < 51; n++) begin : gen_bit
      assign b[k][4*n+:4] = {word[n], left[n], word[n+8], left[n+8]};
    end
  end
  for (genvar n = 0; n < 32; n++) begin : gen_next
    assign next[n] = ^{w[n], w[n+19], b[0][4*n+:4]};
    assign next[32+n] = ^{w[n], b[0][4*n+:4], b[0][4*(n+19)+:4], b[1][4*n+:4]};
    assign next[64+n] = ^{
      w[n], w[n+19], b[0][4*n+:4], b[1][4*n+:4], b[1][4*(n+19)+:4], b[2][4*n+:4]
    };
    assign next[96+n] = ^{
      w[n], b[0][4*n+:4], b[0][4*(n+19)+:4], b[1][4*n+:4], b[2][4*n+:4], b[2][4*(n+19)+:4], b[3][4*n+:4]
    };
  end

  logic [COUNT_BITS-1:0] to_go_q;
  logic going_q;
  always_ff @(posedge clk_i) begin
    if (rst_i || seed_i) begin
      words_o <= {INITIAL[127:32], INITIAL[31:0] ^ (rst_i ? '0 : value_i)};
      to_go_q <= COUNT_BITS'(CYCLES - 1);
      going_q <= 1'b1;
      enable_o <= 1'b0;
    end else begin
      if (enable_o) words_o <= next;
      to_go_q <= to_go_q - COUNT_BITS'(going_q);
      going_q <= going_q && to_go_q != '0;
      enable_o <= going_q || step_i;
    end
  end
endmodule
