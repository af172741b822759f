// SPDX-License-Identifier: Apache-2.0
// Selects the next character, and starts its first layer.
//
// Score:    takes every character of s_axis; the logits of each go out.
// Generate: the characters of s_axis up to TLAST prime the state; then LENGTH characters are sampled, each
//           the input for the next, and go out. With LENGTH 0 the state is only primed.
// A mode holds for a whole sequence (up to TLAST). A code outside the vocabulary counts as code 0, and is
// reported. A requested state reset takes effect at the next character from s_axis.
//
// A character starts layer 0 beat by beat (one unit for each gate pipeline), as the sums h(t-1).U of layer 0
// are finished (credits).
module character_control #(
    parameter int VOCABULARY = 90,
    parameter int BEATS = 128,       // beats of layer 0
    parameter int BEAT_BITS = 8,     // width of a beat's number over all layers
    parameter int ROW_ADDRESS_BITS = 14,
    parameter int CODE_BITS = 7
) (
    input  logic                        clk_i,
    input  logic                        rst_i,
    input  logic                        s_axis_tvalid,
    output logic                        s_axis_tready,
    input  logic [7:0]                  s_axis_tdata,
    input  logic                        s_axis_tlast,
    // configuration
    input  logic                        generate_i,
    input  logic                        auto_reset_i,
    input  logic [31:0]                 length_i,
    input  logic                        reset_state_i,
    input  logic                        stop_i,
    // events for the registers
    output logic                        accepted_o,
    output logic                        bad_code_o,
    output logic                        busy_o,
    output logic                        generating_o,
    output logic                        open_o,  // a sequence has begun, and its TLAST has not come
    // layer 0
    input  logic                        credit_i,
    input  logic                        grant_i,
    output logic                        start_o,
    output logic [BEAT_BITS-1:0]        beat_o,
    output logic                        beat_last_o,
    output logic                        fresh_o,
    output logic                        phase_o,
    output logic [ROW_ADDRESS_BITS-1:0] row_address_o,
    // by phase: the character in it starts from a zero state
    output logic [1:0]                  fresh_by_phase_o,
    // use of the character that the output layer has, or gets next
    output logic                        score_o,
    output logic                        sample_o,
    output logic                        last_o,
    // the output layer's result for the last finished character
    input  logic                        finished_i,
    input  logic                        sampled_i,
    // verilator lint_off UNUSEDSIGNAL  // the upper bits if there are fewer codes than a word has logits
    input  logic [CODE_BITS-1:0]        code_i,
    // verilator lint_on UNUSEDSIGNAL
    output logic                        sampled_last_o
);
  localparam int CREDIT_BITS = $clog2(BEATS + 2);  // at least two

  typedef enum logic {FEED, SAMPLE} state_e;
  state_e state_q;
  logic in_sequence_q, generate_q, reset_pending_q, stop_q;
  logic [31:0] left_q;

  logic x_valid_q, x_first_q, x_score_q, x_sample_q, x_last_q;
  logic [CREDIT_BITS-1:0] credits_q;
  logic credit_left_q, beat_last_q;  // credits_q != 0, and the last beat is next: in their own registers
  // LENGTH is not 0; at most one character is left. A cycle late, but characters are many cycles apart.
  logic length_set_q, left_one_q;
  logic ready_q;  // a cycle later than possible
  logic [1:0] in_flight_q;
  logic accept, generate_now, bad_code, again, done;
  // Characters reach the output layer in order; it lags the character that starts by at most 3.
  logic [3:0][2:0] output_flags_q;
  logic [1:0] started_q, finished_q;

  assign s_axis_tready = ready_q;
  assign accept = s_axis_tvalid && s_axis_tready;
  assign accepted_o = accept || again;
  assign bad_code = 9'(s_axis_tdata) >= 9'(VOCABULARY);
  assign bad_code_o = accept && bad_code;
  assign generate_now = in_sequence_q ? generate_q : generate_i;
  assign sampled_last_o = left_one_q || stop_q;
  assign again = sampled_i && !sampled_last_o;
  assign start_o = x_valid_q && credit_left_q && grant_i;
  assign done = start_o && beat_last_o;
  assign beat_last_o = beat_last_q;
  assign generating_o = state_q == SAMPLE;
  assign open_o = in_sequence_q;
  assign busy_o = in_flight_q != '0 || generating_o;

  always_ff @(posedge clk_i) begin
    length_set_q <= length_i != '0;
    // left_q is 0 if LENGTH became 0 in the very cycle in which length_set_q started the generation: that counts as 1.
    left_one_q <= left_q[31:1] == '0;
    {score_o, sample_o, last_o} <= output_flags_q[finished_q];
    ready_q <= !rst_i && !accept && state_q == FEED && !x_valid_q && in_flight_q != 2'd3;
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      state_q <= FEED;
      in_sequence_q <= 1'b0;
      generate_q <= 1'b0;
      reset_pending_q <= 1'b1;
      stop_q <= 1'b0;
      x_valid_q <= 1'b0;
      x_first_q <= 1'b0;
      phase_o <= 1'b0;
      beat_o <= '0;
      beat_last_q <= BEATS == 1;
      credits_q <= CREDIT_BITS'(BEATS);
      credit_left_q <= 1'b1;
      in_flight_q <= '0;
      started_q <= '0;
      finished_q <= '0;
    end else begin
      started_q <= started_q + 2'(done);
      finished_q <= finished_q + 2'(finished_i);
      in_flight_q <= in_flight_q + 2'(accepted_o) - 2'(finished_i);
      credits_q <= credits_q + CREDIT_BITS'(credit_i) - CREDIT_BITS'(start_o);
      if (credit_i) credit_left_q <= 1'b1;
      else if (start_o) credit_left_q <= credits_q[CREDIT_BITS-1:1] != '0;
      if (accept) begin
        in_sequence_q <= !s_axis_tlast;
        generate_q <= generate_now;
        reset_pending_q <= reset_state_i;
        if (generate_now && s_axis_tlast && length_set_q) state_q <= SAMPLE;
      end else if (reset_state_i) reset_pending_q <= 1'b1;

      if (sampled_i && sampled_last_o) state_q <= FEED;
      stop_q <= state_q == SAMPLE && !(sampled_i && sampled_last_o) && (stop_q || stop_i);

      if (accepted_o) begin
        x_valid_q <= 1'b1;
        x_first_q <= 1'b1;
      end else if (start_o) begin
        x_valid_q <= !done;
        x_first_q <= 1'b0;
      end
      if (start_o) begin
        beat_o <= done ? '0 : beat_o + 1'b1;
        beat_last_q <= done ? BEATS == 1 : beat_o == BEAT_BITS'(BEATS - 2);
      end
      if (done) phase_o <= ~phase_o;
    end

    if (accept) begin
      left_q <= length_i;
      fresh_o <= reset_pending_q || (auto_reset_i && !in_sequence_q);
      row_address_o <= bad_code ? '0 : ROW_ADDRESS_BITS'(s_axis_tdata);
      {x_score_q, x_sample_q, x_last_q} <=
          {!generate_now, generate_now && s_axis_tlast && length_set_q, s_axis_tlast};
    end else if (again) begin
      left_q <= left_q - 1'b1;
      fresh_o <= 1'b0;
      row_address_o <= ROW_ADDRESS_BITS'(code_i);
      {x_score_q, x_sample_q, x_last_q} <= 3'b010;
    end else if (start_o) begin
      row_address_o <= row_address_o + ROW_ADDRESS_BITS'(VOCABULARY);
    end

    // fresh is kept until the same phase starts again: the U sums that this start waits for leave the array after
    // all sums that the character before it still needed. Output may take longer: see above.
    if (start_o && x_first_q) begin
      fresh_by_phase_o[phase_o] <= fresh_o;
      output_flags_q[started_q] <= {x_score_q, x_sample_q, x_last_q};
    end
  end
endmodule
