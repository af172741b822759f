// SPDX-License-Identifier: Apache-2.0
// Simulation only: a 7-series block RAM as a read-only memory with one port or two (AMD UG473, "7 Series FPGAs
// Memory Resources"). Latency 1. Any other use of a block RAM ends the simulation.
module block_ram #(
    parameter int DATA_BITS = 16384,
    parameter logic [DATA_BITS-1:0] DATA = 0,
    parameter logic [DATA_BITS/8-1:0] PARITY = 0,
    parameter RAM_MODE = "TDP",  // SDP: port A may be twice as wide, on the outputs of both ports
    parameter int READ_WIDTH_A = 0,
    parameter int READ_WIDTH_B = 0,
    parameter int WRITE_WIDTH_A = 0,
    parameter int WRITE_WIDTH_B = 0,
    parameter int DOA_REG = 0,
    parameter int DOB_REG = 0,
    localparam int ADDRESS_BITS = $clog2(DATA_BITS),
    localparam int PORT_BITS = DATA_BITS / 1024
) (
    input  logic                    clk_a_i,
    input  logic                    clk_b_i,
    input  logic                    enable_a_i,
    input  logic                    enable_b_i,
    input  logic [ADDRESS_BITS-1:0] address_a_i,
    input  logic [ADDRESS_BITS-1:0] address_b_i,
    input  logic                    reset_a_i,
    input  logic                    reset_b_i,
    input  logic                    write_i,       // at either port
    output logic [PORT_BITS-1:0]    data_a_o,
    output logic [PORT_BITS-1:0]    data_b_o,
    output logic [PORT_BITS/8-1:0]  parity_a_o,
    output logic [PORT_BITS/8-1:0]  parity_b_o
);
  localparam int WIDEST = PORT_BITS / 8 * 9;
  function automatic logic legal(input int width, input int widest);
    return width == 0 || width == 1 || width == 2 || width == 4 || width % 9 == 0 && width <= widest;
  endfunction
  initial begin
    if (RAM_MODE != "TDP" && RAM_MODE != "SDP") $fatal(1, "%m: RAM_MODE %s is not modelled", RAM_MODE);
    if (!legal(READ_WIDTH_A, RAM_MODE == "SDP" ? 2 * WIDEST : WIDEST)) begin
      $fatal(1, "%m: READ_WIDTH_A %0d is not modelled in RAM_MODE %s", READ_WIDTH_A, RAM_MODE);
    end
    if (!legal(READ_WIDTH_B, RAM_MODE == "SDP" ? 0 : WIDEST)) begin
      $fatal(1, "%m: READ_WIDTH_B %0d is not modelled in RAM_MODE %s", READ_WIDTH_B, RAM_MODE);
    end
    if (WRITE_WIDTH_A != 0 || WRITE_WIDTH_B != 0) $fatal(1, "%m: writing is not modelled");
    if (DOA_REG != 0 || DOB_REG != 0) $fatal(1, "%m: output registers are not modelled");
  end
  always @(posedge clk_a_i) begin
    if (write_i) $fatal(1, "%m: writing is not modelled");
    if (reset_a_i) $fatal(1, "%m: reset of port A is not modelled");
  end
  always @(posedge clk_b_i) begin
    if (reset_b_i) $fatal(1, "%m: reset of port B is not modelled");
  end

  logic [63:0] data_a, data_b;
  logic [7:0] parity_a, parity_b;
  block_ram_port #(
      .DATA_BITS(DATA_BITS), .WIDTH(READ_WIDTH_A), .DATA(DATA), .PARITY(PARITY)
  ) u_a (
      .clk_i    (clk_a_i),
      .enable_i (enable_a_i),
      .address_i(address_a_i),
      .data_o   (data_a),
      .parity_o (parity_a)
  );
  block_ram_port #(
      .DATA_BITS(DATA_BITS), .WIDTH(READ_WIDTH_B), .DATA(DATA), .PARITY(PARITY)
  ) u_b (
      .clk_i    (clk_b_i),
      .enable_i (enable_b_i),
      .address_i(address_b_i),
      .data_o   (data_b),
      .parity_o (parity_b)
  );
  assign data_a_o = data_a[PORT_BITS-1:0];
  assign parity_a_o = parity_a[PORT_BITS/8-1:0];
  if (RAM_MODE == "SDP") begin : gen_both
    assign data_b_o = data_a[PORT_BITS+:PORT_BITS];
    assign parity_b_o = parity_a[PORT_BITS/8+:PORT_BITS/8];
  end else begin : gen_own
    assign data_b_o = data_b[PORT_BITS-1:0];
    assign parity_b_o = parity_b[PORT_BITS/8-1:0];
  end
endmodule
