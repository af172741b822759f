// SPDX-License-Identifier: Apache-2.0
// A simple dual-port memory (one write, one read port) with a word for each unit, in LUTs: a few hundred words
// would leave block RAMs mostly empty. Read latency 2. A read of the address being written returns the
// old word. Starts as zeros.
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
  logic [WIDTH-1:0] read, read_q;
  lut_ram #(
      .WIDTH(WIDTH),
      .DEPTH(DEPTH)
  ) u_words (
      .clk_i,
      .write_i,
      .write_address_i,
      .write_data_i,
      .read_address_i,
      .read_data_o    (read)
  );
  always_ff @(posedge clk_i) begin
    read_q <= read;
    read_data_o <= read_q;
  end
endmodule
