// SPDX-License-Identifier: Apache-2.0
// Simulation only (compiled in with ZYNQ_LSTM_TRACE): writes a waveform, if plusarg waves names its file and the
// simulation is built for waveforms. The waveform begins at the time in plusarg waves_from_ns.
`ifdef ZYNQ_LSTM_TRACE
module waveform (
    input logic clk_i
);
  int start;
  logic waiting;
  string path;
  initial begin
    start = 0;
    waiting = $value$plusargs("waves=%s", path) != 0;
    if ($value$plusargs("waves_from_ns=%d", start) == 0) start = 0;
  end
  always @(posedge clk_i) begin
    if (waiting && $time >= 64'(start)) begin
      waiting <= 1'b0;
      $dumpfile(path);
      $dumpvars;
    end
  end
endmodule
`endif
