// SPDX-License-Identifier: Apache-2.0
// The hidden states of all layers, twice: the gate pipeline writes those of one character while the
// multiply-accumulate array may still read those of the character before (phases 0 and 1 in turn).
// Written WRITES neighbouring units at a time; read LANES units at a time (a row). Unit u of a layer is in lane
// u % LANES of row base + u / LANES. Read latency 2 from the row address.
module hidden_buffer #(
    parameter int LANES = 4,
    parameter int WRITES = 1,  // divides LANES
    parameter int WIDTH = 8,
    parameter int ROWS  = 64,  // rows of one phase
    localparam int ROW_BITS = ROWS > 1 ? $clog2(ROWS) : 1,
    localparam int PLACES = LANES / WRITES,
    localparam int PLACE_BITS = PLACES > 1 ? $clog2(PLACES) : 1
) (
    input  logic                    clk_i,
    input  logic                    write_i,
    input  logic                    write_phase_i,
    input  logic [ROW_BITS-1:0]     write_row_i,
    input  logic [PLACE_BITS-1:0]   write_place_i,  // lane / WRITES
    input  logic [WRITES*WIDTH-1:0] write_data_i,
    input  logic                    read_phase_i,
    input  logic [ROW_BITS-1:0]     read_row_i,
    output logic [LANES*WIDTH-1:0]  read_data_o
);
  logic [ROW_BITS:0] read_address_q;
  logic [LANES*WIDTH-1:0] read_data;
  for (genvar k = 0; k < LANES; k++) begin : gen_lane
    lut_ram #(
        .WIDTH(WIDTH),
        .DEPTH(2 << ROW_BITS)
    ) u_lane (
        .clk_i,
        .write_i        (write_i && write_place_i == PLACE_BITS'(k / WRITES)),
        .write_address_i({write_phase_i, write_row_i}),
        .write_data_i   (write_data_i[(k%WRITES)*WIDTH+:WIDTH]),
        .read_address_i (read_address_q),
        .read_data_o    (read_data[k*WIDTH+:WIDTH])
    );
  end
  always_ff @(posedge clk_i) begin
    read_address_q <= {read_phase_i, read_row_i};
    read_data_o <= read_data;
  end
endmodule
