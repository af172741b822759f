// SPDX-License-Identifier: Apache-2.0
// A read-only memory in block RAM, with the block RAM's output register.
// Latency 2, throughput 1. Content: one hexadecimal word a line of FILE, from address 0.
module rom #(
    parameter int WIDTH = 8,
    parameter int DEPTH = 1024,
    parameter FILE = "",
    localparam int ADDRESS_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1
) (
    input  logic                    clk_i,
    input  logic [ADDRESS_BITS-1:0] address_i,
    output logic [WIDTH-1:0]        data_o
);
  (* rom_style = "block", ram_style = "block" *)
  logic [WIDTH-1:0] memory[0:DEPTH-1];
  logic [WIDTH-1:0] read_q;

  initial $readmemh(FILE, memory);

  always_ff @(posedge clk_i) begin
    read_q <= memory[address_i];
    data_o <= read_q;
  end
endmodule
