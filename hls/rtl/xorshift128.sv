// SPDX-License-Identifier: Apache-2.0
// Pseudo-random numbers: Marsaglia's 128-bit xorshift (Journal of Statistical Software 8(14), 2003), period
// 2^128 - 1, four outputs of 32 bits at once. The first 64 outputs of a seed are discarded.
//   t = x ^ (x << 11);  x, y, z = y, z, w;  w = w ^ (w >> 19) ^ t ^ (t >> 8)
// A pipeline behind it that moves with enable_o, AHEAD stages deep, holds the first word of four of a seed
// when the seed's own 18 + AHEAD cycles have passed, and the next one 2 cycles after each step_i.
module xorshift128 #(
    parameter int AHEAD = 2,
    parameter logic [127:0] INITIAL = '0,  // {w, z, y, x} before the seed
    parameter int DISCARDED_WORDS = 17     // those of 64 outputs, and the state itself
) (
    input  logic         clk_i,
    input  logic         rst_i,    // seeds, too
    input  logic         seed_i,
    input  logic [31:0]  value_i,  // of the seed
    input  logic         step_i,
    output logic         enable_o,
    output logic [127:0] words_o   // the first in the low bits
);
  localparam int CYCLES = DISCARDED_WORDS + AHEAD;
  localparam int COUNT_BITS = $clog2(CYCLES + 1);

  // Four steps at once. Over GF(2), let t ^ (t >> 8) = B x and w ^ (w >> 19) = A w; then w' = A w + B x, and
  // A A = 1 makes each of the four a sum of at most seven terms. B x is one level of logic, the sum two.
  function automatic logic [31:0] term(input logic [31:0] word);
    term = word ^ (word << 11);
    term = term ^ (term >> 8);
  endfunction
  logic [31:0] x, y, z, w;
  logic [127:0] next;
  always_comb begin
    x = term(words_o[31:0]);
    y = term(words_o[63:32]);
    z = term(words_o[95:64]);
    w = words_o[127:96];
    next[31:0] = w ^ (w >> 19) ^ x;
    next[63:32] = w ^ x ^ (x >> 19) ^ y;
    next[95:64] = w ^ (w >> 19) ^ x ^ y ^ (y >> 19) ^ z;
    next[127:96] = w ^ x ^ (x >> 19) ^ y ^ z ^ (z >> 19) ^ term(w);
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
