// SPDX-License-Identifier: Apache-2.0
// Simulation only: the cell of this name in Yosys' netlists, with the ports that Yosys connects; Yosys has no
// model.
`include "block_ram_content.svh"
module RAMB18E1 #(
    `BLOCK_RAM_PARAMETERS(INIT_0),
    `BLOCK_RAM_PARAMETERS(INIT_1),
    `BLOCK_RAM_PARAMETERS(INIT_2),
    `BLOCK_RAM_PARAMETERS(INIT_3),
    parameter logic [255:0] INITP_00 = 0, INITP_01 = 0, INITP_02 = 0, INITP_03 = 0,
    parameter logic [255:0] INITP_04 = 0, INITP_05 = 0, INITP_06 = 0, INITP_07 = 0,
    parameter RAM_MODE = "TDP",
    parameter int READ_WIDTH_A = 0,
    parameter int READ_WIDTH_B = 0,
    parameter int WRITE_WIDTH_A = 0,
    parameter int WRITE_WIDTH_B = 0,
    parameter int DOA_REG = 0,
    parameter int DOB_REG = 0,
    // Outputs before the first read, after a reset and during a write: not modelled.
    parameter INIT_A = 0, INIT_B = 0, SRVAL_A = 0, SRVAL_B = 0, WRITE_MODE_A = "", WRITE_MODE_B = ""
) (
    input  logic        CLKARDCLK, CLKBWRCLK, ENARDEN, ENBWREN, REGCEAREGCE, REGCEB,
    input  logic        RSTRAMARSTRAM, RSTRAMB, RSTREGARSTREG, RSTREGB,
    input  logic [13:0] ADDRARDADDR, ADDRBWRADDR,
    input  logic [15:0] DIADI, DIBDI,
    input  logic [1:0]  DIPADIP, DIPBDIP, WEA,
    input  logic [3:0]  WEBWE,
    output logic [15:0] DOADO, DOBDO,
    output logic [1:0]  DOPADOP, DOPBDOP
);
  block_ram #(
      .DATA_BITS(16384),
      .DATA({`BLOCK_RAM_VECTOR(INIT_3), `BLOCK_RAM_VECTOR(INIT_2), `BLOCK_RAM_VECTOR(INIT_1),
             `BLOCK_RAM_VECTOR(INIT_0)}),
      .PARITY({INITP_07, INITP_06, INITP_05, INITP_04, INITP_03, INITP_02, INITP_01, INITP_00}),
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
      .address_a_i(ADDRARDADDR),
      .address_b_i(ADDRBWRADDR),
      .reset_a_i  (RSTRAMARSTRAM),
      .reset_b_i  (RSTRAMB),
      .write_i    (|{WEA, WEBWE}),
      .data_a_o   (DOADO),
      .data_b_o   (DOBDO),
      .parity_a_o (DOPADOP),
      .parity_b_o (DOPBDOP)
  );
endmodule
