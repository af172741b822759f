// SPDX-License-Identifier: Apache-2.0
// Assumed of the engine around it:
//   credit_i    comes once for each beat of a character whose beats have all started;
//   finished_i  comes once for each such character, PROOF_LATENCY cycles or more after its last beat and
//               after the character before it;
//   sampled_i   comes with finished_i if sample_o is set.
localparam int PROOF_LATENCY = 3;
reg proof_started = 0;
reg proof_free;               // free to take a character in the next cycle
reg [3:0] proof_owed;         // credits
reg [2:0] proof_unfinished;   // characters with all beats started
reg [PROOF_LATENCY-1:0] proof_done_late, proof_finished_late;
reg [2:0] proof_may_finish;

// Accepted characters by number modulo 4, until they are finished.
reg [1:0] proof_accepted, proof_finished;
reg [2:0] proof_flags[0:3];  // score, sample, last
reg [ROW_ADDRESS_BITS-1:0] proof_code;
wire [2:0] proof_last_flags = proof_flags[2'(proof_accepted - 1)];
reg proof_in_sequence, proof_generate;
wire proof_mode = proof_in_sequence ? proof_generate : generate_i;
reg [31:0] proof_left;        // characters still to be generated
reg proof_stop;
reg [31:0] proof_length;      // length_i a cycle ago
wire proof_sample = proof_mode && s_axis_tlast && proof_length != 0;

always @(posedge clk_i) begin
  proof_started <= 1'b1;
  if (!proof_started) assume (rst_i);
  if (credit_i) assume (proof_owed != 0);
  if (finished_i) assume (proof_may_finish != 0 && proof_finished_late == 0);
  assume (sampled_i == (finished_i && sample_o));
  assume (code_i < VOCABULARY);
  proof_length <= length_i;
  proof_free <= !rst_i && !generating_o && !accepted_o && !x_valid_q && in_flight_q != 3;

  if (rst_i) begin
    {proof_owed, proof_unfinished, proof_may_finish, proof_done_late, proof_finished_late} <= 0;
    {proof_accepted, proof_finished, proof_in_sequence, proof_stop} <= 0;
    proof_left <= 0;
  end else begin
    proof_owed <= proof_owed + (done ? BEATS : 0) - credit_i;
    proof_unfinished <= proof_unfinished + done - finished_i;
    proof_done_late <= {proof_done_late, done};
    proof_finished_late <= {proof_finished_late, finished_i};
    proof_may_finish <= proof_may_finish + proof_done_late[PROOF_LATENCY-1] - finished_i;
    proof_accepted <= proof_accepted + accepted_o;
    proof_finished <= proof_finished + finished_i;
    if (s_axis_tvalid && s_axis_tready) begin
      proof_in_sequence <= !s_axis_tlast;
      proof_generate <= proof_mode;
      proof_flags[proof_accepted] <= {!proof_mode, proof_sample, s_axis_tlast};
      proof_code <= s_axis_tdata < VOCABULARY ? s_axis_tdata : 0;
      proof_left <= !proof_sample ? 0 : length_i == 0 ? 1 : length_i;
    end else if (sampled_i) begin
      proof_flags[proof_accepted] <= 3'b010;
      proof_code <= code_i;
      proof_left <= proof_left == 1 || proof_stop ? 0 : proof_left - 1;
    end
    proof_stop <= generating_o && (proof_stop || stop_i) && !(sampled_i && (proof_left == 1 || proof_stop));
  end

  if (proof_started) begin
    // No character is lost or invented: characters accepted (or sampled) = waiting + started + finished.
    assert (in_flight_q == x_valid_q + proof_unfinished);
    assert (2'(proof_accepted - proof_finished) == in_flight_q);
    if (accepted_o) assert (!x_valid_q && in_flight_q - finished_i < 3);
    if (finished_i) assert ({score_o, sample_o, last_o} == proof_flags[proof_finished]);
    // Every beat of a character starts once, in order, with the row of its code.
    if (start_o) begin
      assert (x_valid_q && beat_o < BEATS && beat_last_o == (beat_o == BEATS - 1));
      assert (row_address_o == proof_code + beat_o * VOCABULARY);
      assert (phase_o == started_q[0]);
    end
    if (proof_owed + credits_q != BEATS) assert (x_valid_q);
    // While characters are generated, none is accepted. The last of LENGTH sampled characters ends generation.
    assert (generating_o == (proof_left != 0));
    if (generating_o) assert (!s_axis_tready);
    if (sampled_i) assert (generating_o && sampled_last_o == (proof_left == 1 || proof_stop));
    // Both states are left again. SAMPLE: the last character under way is one to be sampled (when it finishes,
    // one fewer is left). FEED: a character is taken, unless three are under way or one waits to start; it starts
    // once no credit is owed.
    if (generating_o) assert (in_flight_q != 0 && proof_last_flags[1]);
    if (proof_free) assert (s_axis_tready);
    if (x_valid_q && grant_i && proof_owed == 0) assert (start_o);

    // Invariants on which the others rest.
    assert (proof_owed + credits_q + beat_o == BEATS && beat_o < BEATS);
    assert (credit_left_q == (credits_q != 0) && beat_last_q == (beat_o == BEATS - 1));
    assert (2'(started_q - finished_q) == proof_unfinished && proof_finished == finished_q);
    cover (generating_o && proof_left == 1 && beat_o != 0);
    cover (in_flight_q == 3 && proof_in_sequence);
  end
end
