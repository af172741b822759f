// SPDX-License-Identifier: Apache-2.0
// Assumed of the writer, as in network_engine.sv: when room_o is set it takes room for one character, then writes
// at most RESERVE - 1 words, and takes room again only after it has given this room back.
reg proof_started = 0;
reg proof_taken;
reg [ADDRESS_BITS:0] proof_left;
(* anyseq *) reg proof_take, proof_give;

// Words that a reset discards are not counted.
reg [ADDRESS_BITS+1:0] proof_in, proof_out;
reg proof_waits, proof_some, proof_waiting_last;
reg [WIDTH-1:0] proof_waiting_data;

always @(posedge clk_i) begin
  proof_started <= 1'b1;
  if (!proof_started) assume (rst_i);
  if (write_i) assume (proof_taken && proof_left != 0);
  if (rst_i) begin
    proof_taken <= 1'b0;
    proof_left <= 0;
  end else if (!proof_taken) begin
    proof_taken <= proof_take && room_o;
    proof_left <= RESERVE - 1;
  end else begin
    proof_taken <= !proof_give;
    proof_left <= proof_left - write_i;
  end

  proof_in <= rst_i ? 0 : proof_in + write_i;
  proof_out <= rst_i ? 0 : proof_out + (m_axis_tvalid && m_axis_tready);
  proof_waits <= !rst_i && m_axis_tvalid && !m_axis_tready;
  {proof_waiting_last, proof_waiting_data} <= {m_axis_tlast, m_axis_tdata};
  proof_some <= !rst_i && some_q;

  if (proof_started) begin
    // VALID, DATA and LAST hold until READY.
    if (proof_waits) begin
      assert (m_axis_tvalid);
      assert ({m_axis_tlast, m_axis_tdata} == {proof_waiting_last, proof_waiting_data});
    end
    // The number of words inside is the number that came in and have not gone out.
    assert ((ADDRESS_BITS + 2)'(proof_in - proof_out) == count_q + m_axis_tvalid);
    assert (empty_o == (proof_in == proof_out));
    // It never overflows.
    assert (count_q <= DEPTH);
    // A word that is there is offered in the next cycle.
    if (proof_some) assert (m_axis_tvalid);

    // Invariants on which the others rest.
    assert (some_q == (count_q != 0));
    assert (ADDRESS_BITS'(write_at_q - read_at_q) == ADDRESS_BITS'(count_q));
    if (room_o) assert (count_q <= DEPTH - RESERVE + 1);
    if (proof_taken) assert (count_q + proof_left <= DEPTH && proof_left < RESERVE);
    cover (count_q == DEPTH && m_axis_tvalid);
    cover (write_at_q == DEPTH - 1 && read_at_q == 0);
  end
end
