// SPDX-License-Identifier: Apache-2.0
// Gumbel noise for four logits at once, from a seeded generator (docs/numerics.md, Sampling).
// A random word's upper 24 bits give the octave (the number of their leading zeros), its lower 8 the cell within it:
//   noise = table[min(octave, 7), cell] + TAIL[octave]
// The generator runs ahead so far that a step's noise is ready 3 cycles after the step, unregistered; throughput 1.
// It is not ready for SEED_LATENCY cycles after a seed: less than any character takes until its first logits.
module gumbel_noise #(
    parameter int NOISE_BITS = 16,
    parameter int TABLE_BITS = 14,
    parameter logic [25*NOISE_BITS-1:0] TAIL = '0,  // by octave
    parameter logic [127:0] INITIAL = '0
) (
    input  logic                    clk_i,
    input  logic                    rst_i,
    input  logic                    seed_i,
    input  logic [31:0]             value_i,
    input  logic                    step_i,
    output logic [4*NOISE_BITS-1:0] noise_o
);
  `include "zynq_lstm_constants.svh"
  logic enable;
  logic [127:0] words;
  xorshift128 #(
      .AHEAD  (NOISE_AHEAD),
      .INITIAL(INITIAL)
  ) u_random (
      .clk_i,
      .rst_i,
      .seed_i,
      .value_i,
      .step_i,
      .enable_o(enable),
      .words_o (words)
  );

  logic [4*11-1:0] addresses_q;
  logic [4*TABLE_BITS-1:0] entries;
  for (genvar k = 0; k < 2; k++) begin : gen_table
    rom_dual #(
        .WIDTH(TABLE_BITS),
        .DEPTH(2048),
        .FILE ("noise.mem")
    ) u_table (
        .clk_i,
        .addresses_i(addresses_q[22*k+:22]),
        .data_o     (entries[2*TABLE_BITS*k+:2*TABLE_BITS])
    );
  end

  for (genvar k = 0; k < 4; k++) begin : gen_noise
    logic [31:0] word;
    assign word = words[32*k+:32];

    // ---- ahead of the step: leading zeros of four groups of six bits, then of the word
    logic [3:0] some_q;
    logic [11:0] zeros_q;
    logic [7:0] cell_q;
    logic [4:0] octave, octave_q;
    always_comb begin
      octave = 5'd24;
      for (int g = 3; g >= 0; g--) if (some_q[g]) octave = 5'(6 * g) + 5'(zeros_q[3*g+:3]);
    end
    always_ff @(posedge clk_i) begin
      if (enable) begin
        for (int g = 0; g < 4; g++) begin
          some_q[g] <= |word[31-6*g-:6];
          zeros_q[3*g+:3] <= 3'd5;
          for (int n = 4; n >= 0; n--) if (word[31-6*g-n]) zeros_q[3*g+:3] <= 3'(n);
        end
        cell_q <= word[7:0];
        octave_q <= octave;
        addresses_q[11*k+:11] <= {octave > 5'd7 ? 3'd7 : octave[2:0], cell_q};
      end
    end

    // ---- cycles 2 and 3: the tables, and their sum
    logic signed [NOISE_BITS-1:0] tail, tail_2_q, tail_3_q;
    always_comb begin
      tail = '0;
      for (int n = 0; n < 25; n++) if (octave_q == 5'(n)) tail = TAIL[n*NOISE_BITS+:NOISE_BITS];
    end
    always_ff @(posedge clk_i) begin
      tail_2_q <= tail;
      tail_3_q <= tail_2_q;
    end
    assign noise_o[k*NOISE_BITS+:NOISE_BITS] =
        tail_3_q + NOISE_BITS'($signed(entries[k*TABLE_BITS+:TABLE_BITS]));
  end
endmodule
