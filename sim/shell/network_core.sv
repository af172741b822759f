// SPDX-License-Identifier: Apache-2.0
// A network core (hls/rtl/network_core_ports.svh) whose network is not our RTL: module kernel computes the logits of
// one character at a time (kernel_header.svh). network_engine.sv instantiates it like our own core.
// It takes one character after the other; all beats of a character start in a row.
module network_core #(
    // verilator lint_off UNUSEDPARAM  // our own core's
    `include "network_core_parameters.svh"
    // verilator lint_on UNUSEDPARAM
) (
    `include "network_core_ports.svh"
);
  `include "zynq_lstm_constants.svh"
  localparam int WAIT_BITS = $clog2(SEED_LATENCY + 1);

  typedef enum logic [2:0] {START, RUN, ROOM, SEND, DRAIN} state_e;
  state_e state_q;
  logic [WAIT_BITS-1:0] wait_q;  // cycles left before the first word may be sent
  logic kernel_start_q, kernel_done, fresh_q;
  logic [14:0] code_q;
  logic [VOCABULARY*LOGIT_BITS-1:0] kernel_logits;

  assign grant_o = state_q == START;
  assign credit_o = start_i;
  assign room_taken_o = state_q == ROOM && wait_q == '0 && room_i;
  assign word_valid_o = state_q == SEND;
  assign parity_error_o = 1'b0;
  logic unused;
  assign unused = ^{phase_i, fresh_by_phase_i};

  always_ff @(posedge clk_i) begin
    kernel_start_q <= 1'b0;
    if (wait_q != '0) wait_q <= wait_q - 1'b1;
    case (state_q)
      START: if (start_i) begin
        if (beat_i == '0) begin
          {fresh_q, code_q} <= {fresh_i, 15'(row_address_i)};
          wait_q <= WAIT_BITS'(SEED_LATENCY);
        end
        if (beat_last_i) begin
          state_q <= RUN;
          kernel_start_q <= 1'b1;
        end
      end
      RUN: if (kernel_done) state_q <= ROOM;
      ROOM: if (room_taken_o) begin
        state_q <= SEND;
        word_o <= '0;
      end
      SEND: begin
        word_o <= word_o + 1'b1;
        if (word_o == WORD_BITS'(OUTPUT_WORDS - 1)) state_q <= DRAIN;
      end
      default: if (logits_valid_o && logits_last_o) state_q <= START;
    endcase
    if (rst_i) begin
      state_q <= START;
      kernel_start_q <= 1'b0;
    end
  end

  kernel #(
      .VOCABULARY(VOCABULARY),
      .LOGIT_BITS(LOGIT_BITS)
  ) u_kernel (
      .clk_i,
      .rst_i,
      .start_i (kernel_start_q),
      .fresh_i (fresh_q),
      .code_i  (code_q),
      .done_o  (kernel_done),
      .logits_o(kernel_logits)
  );

  // ---- words of four logits; positions after the vocabulary hold the lowest value
  logic [4*LOGIT_BITS-1:0] word_logits;
  for (genvar k = 0; k < 4; k++) begin : gen_logit
    always_comb begin
      word_logits[k*LOGIT_BITS+:LOGIT_BITS] = {1'b1, {(LOGIT_BITS - 1) {1'b0}}};
      for (int w = 0; w < int'(OUTPUT_WORDS); w++) begin
        if (word_o == WORD_BITS'(w) && 4 * w + k < int'(VOCABULARY))
          word_logits[k*LOGIT_BITS+:LOGIT_BITS] = kernel_logits[(4*w+k)*LOGIT_BITS+:LOGIT_BITS];
      end
    end
  end
  delay #(
      .WIDTH (4 * LOGIT_BITS + 1),
      .CYCLES(LOGITS_LATENCY)
  ) u_logits (
      .clk_i,
      .data_i({word_o == WORD_BITS'(OUTPUT_WORDS - 1), word_logits}),
      .data_o({logits_last_o, logits_o})
  );
  delay_flag #(
      .CYCLES(LOGITS_LATENCY)
  ) u_valid (
      .clk_i,
      .rst_i,
      .data_i(word_valid_o),
      .data_o(logits_valid_o)
  );
endmodule
