// SPDX-License-Identifier: Apache-2.0
// Sum of COUNT signed values, with a register after every addition; the module instantiates itself for the halves.
// Latency $clog2(COUNT), throughput 1. The result is wider by as many bits, so that nothing overflows.
module adder_tree #(
    parameter int COUNT = 4,
    parameter int WIDTH = 12,
    localparam int LEVELS = $clog2(COUNT),
    localparam int SUM_BITS = WIDTH + LEVELS
) (
    input  logic                       clk_i,
    input  logic [COUNT*WIDTH-1:0]     values_i,
    output logic signed [SUM_BITS-1:0] sum_o
);
  if (COUNT == 1) begin : gen_one
    assign sum_o = values_i;
    logic unused_clk;
    assign unused_clk = clk_i;
  end else begin : gen_halves
    localparam int LEFT = (COUNT + 1) / 2;
    localparam int RIGHT = COUNT - LEFT;
    localparam int LEFT_BITS = WIDTH + $clog2(LEFT);
    localparam int RIGHT_BITS = WIDTH + $clog2(RIGHT);
    logic signed [LEFT_BITS-1:0] left;
    logic signed [RIGHT_BITS-1:0] right, right_aligned;
    adder_tree #(
        .COUNT(LEFT),
        .WIDTH(WIDTH)
    ) u_left (
        .clk_i,
        .values_i(values_i[LEFT*WIDTH-1:0]),
        .sum_o   (left)
    );
    adder_tree #(
        .COUNT(RIGHT),
        .WIDTH(WIDTH)
    ) u_right (
        .clk_i,
        .values_i(values_i[COUNT*WIDTH-1:LEFT*WIDTH]),
        .sum_o   (right)
    );
    delay #(
        .WIDTH (RIGHT_BITS),
        .CYCLES($clog2(LEFT) - $clog2(RIGHT))
    ) u_align (
        .clk_i,
        .data_i(right),
        .data_o(right_aligned)
    );
    always_ff @(posedge clk_i) begin
      sum_o <= SUM_BITS'(left) + SUM_BITS'(right_aligned);
    end
  end
endmodule
