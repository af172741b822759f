// SPDX-License-Identifier: Apache-2.0
// A simple dual-port memory (one write, one read port) in block RAM, with its output register.
// Read latency 2. A read of the address being written returns the old word. Starts as zeros.
module ram #(
    parameter int WIDTH = 16,
    parameter int DEPTH = 256,
    localparam int ADDRESS_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1
) (
    input  logic                    clk_i,
    input  logic                    write_i,
    input  logic [ADDRESS_BITS-1:0] write_address_i,
    input  logic [WIDTH-1:0]        write_data_i,
    input  logic [ADDRESS_BITS-1:0] read_address_i,
    output logic [WIDTH-1:0]        read_data_o
);
  (* ram_style = "block" *)
  logic [WIDTH-1:0] memory[0:DEPTH-1];
  logic [WIDTH-1:0] read_q;

  initial begin
    for (int k = 0; k < int'(DEPTH); k++) memory[k] = '0;
  end

  always_ff @(posedge clk_i) begin
    if (write_i) memory[write_address_i] <= write_data_i;
    read_q <= memory[read_address_i];
    read_data_o <= read_q;
  end
endmodule
