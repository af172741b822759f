// SPDX-License-Identifier: Apache-2.0
// Simulation only: the cell of this name in Yosys' netlists, with the ports that Yosys connects; Yosys has no
// model.
`include "block_ram_content.svh"
module RAMB36E1 #(
    `BLOCK_RAM_PARAMETERS(INIT_0),
    `BLOCK_RAM_PARAMETERS(INIT_1),
    `BLOCK_RAM_PARAMETERS(INIT_2),
    `BLOCK_RAM_PARAMETERS(INIT_3),
    `BLOCK_RAM_PARAMETERS(INIT_4),
    `BLOCK_RAM_PARAMETERS(INIT_5),
    `BLOCK_RAM_PARAMETERS(INIT_6),
    `BLOCK_RAM_PARAMETERS(INIT_7),
    `BLOCK_RAM_PARAMETERS(INITP_0),
    parameter RAM_MODE = "TDP",
    parameter int READ_WIDTH_A = 0,
    parameter int READ_WIDTH_B = 0,
    parameter int WRITE_WIDTH_A = 0,
    parameter int WRITE_WIDTH_B = 0,
    parameter int DOA_REG = 0,
    parameter int DOB_REG = 0,
    parameter RAM_EXTENSION_A = "NONE",
    parameter RAM_EXTENSION_B = "NONE",
    // Outputs before the first read, after a reset and during a write: not modelled.
    parameter INIT_A = 0, INIT_B = 0, SRVAL_A = 0, SRVAL_B = 0, WRITE_MODE_A = "", WRITE_MODE_B = ""
) (
    input  logic        CLKARDCLK, CLKBWRCLK, ENARDEN, ENBWREN, REGCEAREGCE, REGCEB,
    input  logic        RSTRAMARSTRAM, RSTRAMB, RSTREGARSTREG, RSTREGB,
    input  logic [15:0] ADDRARDADDR, ADDRBWRADDR,  // bit 15 is for cascades of two
    input  logic [31:0] DIADI, DIBDI,
    input  logic [3:0]  DIPADIP, DIPBDIP, WEA,
    input  logic [7:0]  WEBWE,
    output logic [31:0] DOADO, DOBDO,
    output logic [3:0]  DOPADOP, DOPBDOP
);
  initial begin
    if (RAM_EXTENSION_A != "NONE" || RAM_EXTENSION_B != "NONE") $fatal(1, "%m: cascades are not modelled");
  end
  block_ram #(
      .DATA_BITS(32768),
      .DATA({`BLOCK_RAM_VECTOR(INIT_7), `BLOCK_RAM_VECTOR(INIT_6), `BLOCK_RAM_VECTOR(INIT_5),
             `BLOCK_RAM_VECTOR(INIT_4), `BLOCK_RAM_VECTOR(INIT_3), `BLOCK_RAM_VECTOR(INIT_2),
             `BLOCK_RAM_VECTOR(INIT_1), `BLOCK_RAM_VECTOR(INIT_0)}),
      .PARITY(`BLOCK_RAM_VECTOR(INITP_0)),
      .RAM_MODE(RAM_MODE),
      .READ_WIDTH_A(READ_WIDTH_A),
      .READ_WIDTH_B(READ_WIDTH_B),
      .WRITE_WIDTH_A(WRITE_WIDTH_A),
      .WRITE_WIDTH_B(WRITE_WIDTH_B),
      .DOA_REG(DOA_REG),
      .DOB_REG(DOB_REG)
  ) u_ram (
      .clk_a_i    (CLKARDCLK),
      .clk_b_i    (CLKBWRCLK),
      .enable_a_i (ENARDEN),
      .enable_b_i (ENBWREN),
      .address_a_i(ADDRARDADDR[14:0]),
      .address_b_i(ADDRBWRADDR[14:0]),
      .reset_a_i  (RSTRAMARSTRAM),
      .reset_b_i  (RSTRAMB),
      .write_i    (|{WEA, WEBWE}),
      .data_a_o   (DOADO),
      .data_b_o   (DOBDO),
      .parity_a_o (DOPADOP),
      .parity_b_o (DOPBDOP)
  );
endmodule
