// SPDX-License-Identifier: Apache-2.0
// A read-only memory in block RAM, followed by registers (the block RAM's own, for tools that use them).
// Latency 2, throughput 1.
//
// Block RAMs have power-of-two depths. A deep memory is therefore folded: each of 2^ROW_BITS rows holds FOLDS
// words side by side. Word w is word w >> ROW_BITS of row w mod 2^ROW_BITS, and is selected after the
// registers. hls/engine/memory.py chooses ROW_BITS for the fewest block RAMs.
// Content: one hexadecimal row per line of FILE, word 0 in the low bits; hls/engine/project.py writes it.
module rom #(
    parameter int WIDTH = 8,
    parameter int DEPTH = 1024,
    parameter int ROW_BITS = 10,
    parameter FILE = "",
    localparam int ADDRESS_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1
) (
    input  logic                    clk_i,
    input  logic [ADDRESS_BITS-1:0] address_i,
    output logic [WIDTH-1:0]        data_o
);
  localparam int FOLDS = (DEPTH + (1 << ROW_BITS) - 1) >> ROW_BITS;

  (* rom_style = "block", ram_style = "block" *)
  logic [FOLDS*WIDTH-1:0] memory[0:(1<<ROW_BITS)-1];
  logic [FOLDS*WIDTH-1:0] read_q, row_q;

  initial $readmemh(FILE, memory);

  always_ff @(posedge clk_i) begin
    read_q <= memory[ROW_BITS'(address_i)];
    row_q <= read_q;
  end

  if (FOLDS == 1) begin : gen_whole
    assign data_o = row_q;
  end else begin : gen_folded
    localparam int FOLD_BITS = ADDRESS_BITS - ROW_BITS;
    // One bit for each word, so that selecting one of up to nine words takes two levels of LUTs.
    logic [FOLD_BITS-1:0] fold_1_q;
    logic [FOLDS-1:0] picked_2_q;
    always_ff @(posedge clk_i) begin
      fold_1_q <= address_i[ADDRESS_BITS-1:ROW_BITS];
      for (int f = 0; f < int'(FOLDS); f++) picked_2_q[f] <= fold_1_q == FOLD_BITS'(f);
    end
    always_comb begin
      data_o = '0;
      for (int f = 0; f < int'(FOLDS); f++) begin
        data_o = data_o | (row_q[f*WIDTH+:WIDTH] & {WIDTH{picked_2_q[f]}});
      end
    end
  end
endmodule
