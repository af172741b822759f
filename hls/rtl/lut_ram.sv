// SPDX-License-Identifier: Apache-2.0
// A small simple dual-port memory in LUTs: written on the clock edge, read in the same cycle.
// Starts as zeros.
module lut_ram #(
    parameter int WIDTH = 8,
    parameter int DEPTH = 64,
    localparam int ADDRESS_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1
) (
    input  logic                    clk_i,
    input  logic                    write_i,
    input  logic [ADDRESS_BITS-1:0] write_address_i,
    input  logic [WIDTH-1:0]        write_data_i,
    input  logic [ADDRESS_BITS-1:0] read_address_i,
    output logic [WIDTH-1:0]        read_data_o
);
  (* ram_style = "distributed" *)
  logic [WIDTH-1:0] memory[0:DEPTH-1];

  initial begin
    for (int k = 0; k < int'(DEPTH); k++) memory[k] = '0;
  end

  always_ff @(posedge clk_i) begin
    if (write_i) memory[write_address_i] <= write_data_i;
  end
  assign read_data_o = memory[read_address_i];
endmodule
