// SPDX-License-Identifier: Apache-2.0
// Beside axis_fifo_order.svh, which shows that the word is not overwritten: u_words then reads it as it was
// written. That is proved of lut_ram alone; axis_fifo_order does without, and so covers how it is connected.
always @(posedge clk_i) begin
  if (proof_started && proof_inside && read_at_q == proof_at) assume (read_data == proof_word);
end
