// SPDX-License-Identifier: Apache-2.0
// A shift register of CYCLES stages for control bits: like delay, but cleared by reset.
module delay_flag #(
    parameter int WIDTH  = 1,
    parameter int CYCLES = 1
) (
    input  logic             clk_i,
    input  logic             rst_i,
    input  logic [WIDTH-1:0] data_i,
    output logic [WIDTH-1:0] data_o
);
  logic [CYCLES*WIDTH-1:0] stages_q;
  always_ff @(posedge clk_i) begin
    if (rst_i) stages_q <= '0;
    else stages_q <= (CYCLES * WIDTH)'({stages_q, data_i});
  end
  assign data_o = stages_q[CYCLES*WIDTH-1-:WIDTH];
endmodule
