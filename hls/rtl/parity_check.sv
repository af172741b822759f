// SPDX-License-Identifier: Apache-2.0
// Reports a word with an odd number of ones in any of its COUNT parts: a bit has flipped since the word was written
// with even parity. There are at most three levels of LUTs per cycle, including those after a folded memory (rom.sv).
// Latency 3, throughput 1.
module parity_check #(
    parameter int COUNT = 18,
    parameter int WIDTH = 65  // width of a part, its parity bit included
) (
    input  logic                   clk_i,
    input  logic                   rst_i,
    input  logic                   valid_i,
    input  logic [COUNT*WIDTH-1:0] parts_i,
    output logic                   error_o
);
  localparam int PIECE = 6;  // inputs of a LUT
  localparam int PIECES = (WIDTH + PIECE - 1) / PIECE;

  logic valid_1_q, valid_2_q;
  logic [COUNT-1:0] odd_2_q;
  always_ff @(posedge clk_i) begin
    if (rst_i) {error_o, valid_2_q, valid_1_q} <= '0;
    else {error_o, valid_2_q, valid_1_q} <= {valid_2_q && odd_2_q != '0, valid_1_q, valid_i};
  end

  for (genvar n = 0; n < COUNT; n++) begin : gen_part
    logic [PIECES*PIECE-1:0] part;
    logic [PIECES-1:0] odd_1_q;
    assign part = (PIECES * PIECE)'(parts_i[n*WIDTH+:WIDTH]);
    always_ff @(posedge clk_i) begin
      for (int k = 0; k < int'(PIECES); k++) odd_1_q[k] <= ^part[k*PIECE+:PIECE];
      odd_2_q[n] <= ^odd_1_q;
    end
  end
endmodule
