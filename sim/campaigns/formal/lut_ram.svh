// SPDX-License-Identifier: Apache-2.0
// The word read at an address (any one: the solver picks it) is the word last written there.
(* anyconst *) reg [ADDRESS_BITS-1:0] proof_at;
reg proof_written = 0;
reg [WIDTH-1:0] proof_word;
always @(posedge clk_i) begin
  if (write_i && write_address_i == proof_at) begin
    proof_written <= 1'b1;
    proof_word <= write_data_i;
  end
  if (proof_written) assert (memory[proof_at] == proof_word);
  if (proof_written && read_address_i == proof_at) assert (read_data_o == proof_word);
  cover (proof_written && read_address_i == proof_at);
end
