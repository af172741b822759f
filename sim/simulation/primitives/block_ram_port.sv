// SPDX-License-Identifier: Apache-2.0
// Simulation only: a read port of a 7-series block RAM that is never written. Latency 1.
// A word of 9 bits or more has a parity bit for every 8 data bits. The address counts data bits, whatever the
// word's width. The output is undefined before the first read.
module block_ram_port #(
    parameter int DATA_BITS = 16384,
    parameter int WIDTH = 0,  // bits of a word, parity included; 0: the port is not used
    parameter logic [DATA_BITS-1:0] DATA = 0,
    parameter logic [DATA_BITS/8-1:0] PARITY = 0,
    localparam int ADDRESS_BITS = $clog2(DATA_BITS)
) (
    input  logic                    clk_i,
    input  logic                    enable_i,
    input  logic [ADDRESS_BITS-1:0] address_i,
    output logic [63:0]             data_o,
    output logic [7:0]              parity_o
);
  localparam int WORD_BITS = WIDTH < 9 ? WIDTH : WIDTH / 9 * 8;
  localparam int PARITY_BITS = WORD_BITS / 8;

  if (WIDTH == 0) begin : gen_unused
    assign data_o = 'x;
    assign parity_o = 'x;
  end else begin : gen_used
    localparam int DEPTH = DATA_BITS / WORD_BITS;
    logic [WORD_BITS+PARITY_BITS-1:0] words[0:DEPTH-1];
    logic [WORD_BITS+PARITY_BITS-1:0] word_q;
    logic [$clog2(DEPTH)-1:0] row;
    if (PARITY_BITS == 0) begin : gen_data
      initial begin
        for (int k = 0; k < DEPTH; k++) words[k] = DATA[k*WORD_BITS+:WORD_BITS];
      end
      assign parity_o = 'x;
    end else begin : gen_data_and_parity
      initial begin
        for (int k = 0; k < DEPTH; k++) begin
          words[k] = {PARITY[k*PARITY_BITS+:PARITY_BITS], DATA[k*WORD_BITS+:WORD_BITS]};
        end
      end
      assign parity_o = 8'(word_q[WORD_BITS+:PARITY_BITS]);
    end
    assign row = address_i[ADDRESS_BITS-1-:$clog2(DEPTH)];
    assign data_o = 64'(word_q[WORD_BITS-1:0]);
    always_ff @(posedge clk_i) if (enable_i) word_q <= words[row];
  end
endmodule
