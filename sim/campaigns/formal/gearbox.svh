// SPDX-License-Identifier: Apache-2.0
// Assumed of the array and the schedule: a job's words come one a cycle, at most WORDS of them; the first word of a
// job comes no earlier than as many cycles after that of the job before as that job has beats.
// Each sum is its own position in the job, so that a beat shows which sums it has; the circuit does not look at them.
reg proof_started = 0;
reg proof_open, proof_next_in, proof_next_out;  // words are coming; numbers, modulo 2, of the jobs in and out
reg [7:0] proof_words, proof_beats, proof_age;
// of the job that comes in, and of the one before
reg [1:0][7:0] proof_total;
reg [1:0] proof_whole, proof_final;  // its last word has come; the product's last job
reg [1:0][1:0] proof_flags;
reg [1:0][TAG_BITS-1:0] proof_tag;
reg [1:0][ITEM_BITS-1:0] proof_item;
wire proof_word = flags_i != 0;
wire [7:0] proof_position = 4 * proof_words;
wire [7:0] proof_first = 3 * proof_beats;
wire proof_out = proof_next_out;
wire proof_ends = proof_whole[proof_out] && proof_beats + 1 == proof_total[proof_out];

always @(posedge clk_i) begin
  proof_started <= 1'b1;
  if (!proof_started) assume (rst_i);
  if (rst_i) assume (!proof_word);
  if (proof_word) begin
    assume (sums_i == {SUM_BITS'(proof_position + 3), SUM_BITS'(proof_position + 2),
                       SUM_BITS'(proof_position + 1), SUM_BITS'(proof_position)});
    if (proof_words == WORDS - 1) assume (last_i);
  end
  if (proof_open) begin
    assume (proof_word && flags_i == proof_flags[proof_next_in] && tag_i == proof_tag[proof_next_in]);
  end else if (proof_word) assume (proof_age >= proof_total[!proof_next_in]);

  if (rst_i) begin
    {proof_open, proof_next_in, proof_next_out, proof_words, proof_beats} <= 0;
    proof_whole <= 0;
    proof_total <= 0;
    proof_age <= 0;
  end else begin
    if (proof_age != 8'hff) proof_age <= proof_age + 1'b1;
    if (proof_word) begin
      if (!proof_open) begin
        proof_age <= 1;
        proof_flags[proof_next_in] <= flags_i;
        proof_tag[proof_next_in] <= tag_i;
        proof_item[proof_next_in] <= item_i;
      end
      proof_open <= !last_i;
      proof_words <= last_i ? 0 : proof_words + 1'b1;
      proof_whole[proof_next_in] <= last_i;
      if (last_i) begin
        proof_total[proof_next_in] <= 4 * (proof_words + 1) / 3;
        proof_final[proof_next_in] <= final_i;
        proof_next_in <= !proof_next_in;
      end
    end
    if (flags_o != 0) begin
      proof_beats <= proof_ends ? 0 : proof_beats + 1'b1;
      if (proof_ends) begin
        proof_next_out <= !proof_next_out;
        if (!(proof_word && proof_next_in == proof_out)) proof_whole[proof_out] <= 0;
      end
    end
  end

  if (proof_started && flags_o != 0) begin
    assert (sums_o == {SUM_BITS'(proof_first + 2), SUM_BITS'(proof_first + 1), SUM_BITS'(proof_first)});
    assert (flags_o == proof_flags[proof_out]);
    assert (tag_o == proof_tag[proof_out]);
    assert (item_o == ITEM_BITS'(proof_item[proof_out] + proof_beats));
    if (proof_whole[proof_out]) assert (last_o == (proof_ends && proof_final[proof_out]));
    else assert (!last_o);
  end
  // Every beat leaves in time.
  if (proof_started && !rst_i && proof_next_in == proof_next_out && !proof_open && proof_age > proof_total[!proof_next_in] + 3)
    assert (proof_beats == 0);
  if (proof_started) begin
    cover (flags_o != 0 && last_o && proof_total[proof_out] == 4 * WORDS / 3);
    cover (flags_o != 0 && proof_word && proof_next_in != proof_next_out);
  end
end
