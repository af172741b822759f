// SPDX-License-Identifier: Apache-2.0
// Used with axis_fifo_order.svh, which shows that the word is not overwritten: u_words then reads it as written.
// This is proved for lut_ram alone. The proof axis_fifo_order does not assume it, so it covers the connections.
always @(posedge clk_i) begin
  if (proof_started && proof_inside && read_at_q == proof_at) assume (read_data == proof_word);
end
