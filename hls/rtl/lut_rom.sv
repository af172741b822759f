// SPDX-License-Identifier: Apache-2.0
// A small read-only memory in LUTs, where a block RAM would be mostly empty. Read in the same cycle.
// Content: one hexadecimal word per line of FILE, from address 0.
module lut_rom #(
    parameter int WIDTH = 8,
    parameter int DEPTH = 64,
    parameter FILE = "",
    localparam int ADDRESS_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1
) (
    input  logic [ADDRESS_BITS-1:0] address_i,
    output logic [WIDTH-1:0]        data_o
);
  (* logic_block = 1 *)  // otherwise Yosys would use a block RAM
  logic [WIDTH-1:0] memory[0:DEPTH-1];
  (* keep *)  // otherwise Yosys would move the address's register to the output of the memory
  logic [ADDRESS_BITS-1:0] address;

  // Nothing else in this block: with a loop before it, Yosys 0.70 silently loses the content.
  initial $readmemh(FILE, memory);

  assign address = address_i;
  assign data_o = memory[address];
endmodule
