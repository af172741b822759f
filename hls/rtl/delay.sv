// SPDX-License-Identifier: Apache-2.0
// A shift register of CYCLES stages, which keeps signals in step with a parallel pipeline.
// Latency CYCLES (0 is a wire). No reset: a valid bit elsewhere qualifies the data.
module delay #(
    parameter int WIDTH  = 1,
    parameter int CYCLES = 1
) (
    input  logic             clk_i,
    input  logic [WIDTH-1:0] data_i,
    output logic [WIDTH-1:0] data_o
);
  if (CYCLES == 0) begin : gen_wire
    assign data_o = data_i;
    logic unused_clk;
    assign unused_clk = clk_i;
  end else begin : gen_stages
    logic [CYCLES*WIDTH-1:0] stages_q;
    always_ff @(posedge clk_i) begin
      stages_q <= (CYCLES * WIDTH)'({stages_q, data_i});
    end
    assign data_o = stages_q[CYCLES*WIDTH-1-:WIDTH];
  end
endmodule
