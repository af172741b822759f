// SPDX-License-Identifier: Apache-2.0
// Simulation only (compiled in with ZYNQ_LSTM_TRACE): writes one line of hexadecimal words to a file
// whenever valid_i is set. The value of plusarg NAME is the file's name; without the plusarg nothing is written.
// The bench reads the lines and compares them with the reference (sim/trace.py).
`ifdef ZYNQ_LSTM_TRACE
module trace_monitor #(
    parameter int WORDS = 4,
    parameter int BITS = 16,  // width of a word
    parameter NAME = "trace"
) (
    input logic                clk_i,
    input logic                valid_i,
    input logic                flush_i,
    input logic [WORDS*BITS-1:0] words_i  // the first word of a line in the high bits
);
  int file;
  string path;
  initial begin
    file = 0;
    if ($value$plusargs({NAME, "=%s"}, path)) file = $fopen(path, "a");
  end
  always @(posedge clk_i) begin
    if (file != 0 && valid_i) begin
      $fwrite(file, "%h\n", words_i);
      if (flush_i) $fflush(file);
    end
  end
endmodule
`endif
