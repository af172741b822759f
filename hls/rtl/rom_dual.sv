// SPDX-License-Identifier: Apache-2.0
// A read-only memory with two ports, in block RAM, with the block RAM's output registers.
// Latency 2, throughput 1 at each port. Content: as for rom.
module rom_dual #(
    parameter int WIDTH = 8,
    parameter int DEPTH = 1024,
    parameter FILE = "",
    localparam int ADDRESS_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1
) (
    input  logic                      clk_i,
    input  logic [2*ADDRESS_BITS-1:0] addresses_i,
    output logic [2*WIDTH-1:0]        data_o
);
  (* rom_style = "block", ram_style = "block" *)
  logic [WIDTH-1:0] memory[0:DEPTH-1];
  logic [WIDTH-1:0] read_0_q, read_1_q;

  initial $readmemh(FILE, memory);

  always_ff @(posedge clk_i) begin
    read_0_q <= memory[addresses_i[0+:ADDRESS_BITS]];
    read_1_q <= memory[addresses_i[ADDRESS_BITS+:ADDRESS_BITS]];
    data_o <= {read_1_q, read_0_q};
  end
endmodule
