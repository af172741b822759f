// SPDX-License-Identifier: Apache-2.0
// The network as C++ through DPI (dpi_kernel.cpp): logits come in the next cycle, signals go to the trace's files.
module kernel
`include "kernel_header.svh"
;
  `include "kernel_values.svh"
  import "DPI-C" function void zynq_lstm_dpi_trace_logits(input string path);
  import "DPI-C" function void zynq_lstm_dpi_trace_stage(
      input string path, input int units, input int first_unit, input int at, input int stride, input int signals);
  import "DPI-C" function void zynq_lstm_dpi_character(
      input int code, input int fresh, input int signal_values, input int vocabulary);
  import "DPI-C" function int zynq_lstm_dpi_logit(input int code);

  string path;
  initial begin
    if ($value$plusargs("trace_logits=%s", path) != 0) zynq_lstm_dpi_trace_logits(path);
`include "kernel_trace.svh"
  end
  always @(posedge clk_i) begin
    done_o <= start_i && !rst_i;
    if (start_i) begin
      zynq_lstm_dpi_character(int'(code_i), int'(fresh_i), SIGNAL_VALUES, VOCABULARY);
      for (int v = 0; v < int'(VOCABULARY); v++)
        logits_o[v*LOGIT_BITS+:LOGIT_BITS] <= LOGIT_BITS'(zynq_lstm_dpi_logit(v));
    end
  end
endmodule
