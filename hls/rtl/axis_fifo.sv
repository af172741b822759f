// SPDX-License-Identifier: Apache-2.0
// Output buffer: takes words without back-pressure (the writer watches room_o); its AXI4-Stream output is registered.
module axis_fifo #(
    parameter int WIDTH   = 64,
    parameter int DEPTH   = 64,  // a power of two
    parameter int RESERVE = 27   // room_o: at least this many words are free
) (
    input  logic             clk_i,
    input  logic             rst_i,
    input  logic             write_i,
    input  logic [WIDTH-1:0] data_i,
    input  logic             last_i,
    output logic             room_o,
    output logic             empty_o,
    output logic             m_axis_tvalid,
    input  logic             m_axis_tready,
    output logic [WIDTH-1:0] m_axis_tdata,
    output logic             m_axis_tlast
);
  localparam int ADDRESS_BITS = $clog2(DEPTH);
`ifndef __ICARUS__  // which has no elaboration-time errors
  if (DEPTH != 1 << ADDRESS_BITS || RESERVE > DEPTH) begin : gen_bad_depth
    $error("%m: DEPTH must be a power of two, and RESERVE not above it");
  end
`endif

  logic [ADDRESS_BITS-1:0] write_at_q, read_at_q;
  logic [ADDRESS_BITS:0] count_q;
  logic [WIDTH:0] read_data;
  logic load;
  logic some_q;  // count_q != 0, in its own register
  assign load = some_q && (!m_axis_tvalid || m_axis_tready);
  lut_ram #(
      .WIDTH(WIDTH + 1),
      .DEPTH(DEPTH)
  ) u_words (
      .clk_i,
      .write_i,
      .write_address_i(write_at_q),
      .write_data_i   ({last_i, data_i}),
      .read_address_i (read_at_q),
      .read_data_o    (read_data)
  );

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      write_at_q <= '0;
      read_at_q <= '0;
      count_q <= '0;
      some_q <= 1'b0;
      room_o <= 1'b0;
      m_axis_tvalid <= 1'b0;
    end else begin
      write_at_q <= write_at_q + ADDRESS_BITS'(write_i);
      read_at_q <= read_at_q + ADDRESS_BITS'(load);
      count_q <= count_q + (ADDRESS_BITS + 1)'(write_i) - (ADDRESS_BITS + 1)'(load);
      if (write_i) some_q <= 1'b1;
      else if (load) some_q <= count_q[ADDRESS_BITS:1] != '0;
      room_o <= count_q <= (ADDRESS_BITS + 1)'(DEPTH - RESERVE);
      if (load) m_axis_tvalid <= 1'b1;
      else if (m_axis_tready) m_axis_tvalid <= 1'b0;
    end
    if (load) {m_axis_tlast, m_axis_tdata} <= read_data;
  end
  assign empty_o = !some_q && !m_axis_tvalid;
endmodule
