// SPDX-License-Identifier: Apache-2.0
// Used with axis_fifo.svh: any one word that is written (the solver picks it) comes out as it went in, after
// exactly the words that were ahead of it.
(* anyseq *) reg proof_pick;
reg proof_picked, proof_loaded, proof_gone;  // written; in the output register; taken
reg [ADDRESS_BITS-1:0] proof_at;
reg [ADDRESS_BITS+1:0] proof_ahead;  // words to be taken before it
reg [WIDTH:0] proof_word;
wire proof_inside = proof_picked && !proof_loaded;
wire [ADDRESS_BITS-1:0] proof_offset = proof_at - read_at_q;
always @(posedge clk_i) begin
  if (rst_i) {proof_picked, proof_loaded, proof_gone} <= 0;
  else if (!proof_picked) begin
    proof_picked <= proof_pick && write_i;
    proof_at <= write_at_q;
    proof_ahead <= proof_in - proof_out - (m_axis_tvalid && m_axis_tready);
    proof_word <= {last_i, data_i};
  end else begin
    if (load && read_at_q == proof_at) proof_loaded <= 1'b1;
    if (m_axis_tvalid && m_axis_tready) begin
      if (proof_ahead == 0) proof_gone <= 1'b1;
      else proof_ahead <= proof_ahead - 1;
    end
  end
  if (proof_started) begin
    // The word offered when no word is ahead any more is the one picked.
    if (proof_picked && !proof_gone && proof_ahead == 0 && m_axis_tvalid)
      assert ({m_axis_tlast, m_axis_tdata} == proof_word);
    // It is not overwritten.
    if (proof_inside && write_i) assert (write_at_q != proof_at);
    // Invariants on which the first rests.
    if (proof_loaded) assert (proof_picked);
    if (proof_gone) assert (proof_loaded);
    if (proof_inside) assert (proof_offset < count_q && proof_ahead == proof_offset + m_axis_tvalid);
    if (proof_loaded && !proof_gone) assert (m_axis_tvalid && proof_ahead == 0);
    cover (proof_gone && proof_in == DEPTH + 2);
  end
end
