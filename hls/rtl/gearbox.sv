// SPDX-License-Identifier: Apache-2.0
// Turns words of four sums into beats of three, so that units of three sums need no padding in the array: three words
// make four beats. A word comes in any cycle; a beat leaves in every cycle in which its sums are there, the first
// GEARBOX_LATENCY cycles after its word. With LANES words side by side, LANES units leave together.
// A job's words come one a cycle; after its last word (last_i), sums that make no whole beat are dropped. The next
// job's first word comes no earlier after that of this one than this one has beats (the schedule ensures it).
module gearbox #(
    parameter int LANES = 1,
    parameter int SUM_BITS = 20,
    parameter int TAG_BITS = 3,
    parameter int ITEM_BITS = 8,
    parameter int WORDS = 26,  // most words of a job
    localparam int GROUP = LANES * SUM_BITS
) (
    input  logic                 clk_i,
    input  logic                 rst_i,
    input  logic [1:0]           flags_i,  // destinations of the word's sums; none: no word
    input  logic [TAG_BITS-1:0]  tag_i,
    input  logic [ITEM_BITS-1:0] item_i,   // with a job's first word: number of its first beat
    input  logic                 last_i,   // the job's last word
    input  logic                 final_i,  // the product's last job
    input  logic [4*GROUP-1:0]   sums_i,
    output logic [1:0]           flags_o,
    output logic [TAG_BITS-1:0]  tag_o,
    output logic [ITEM_BITS-1:0] item_o,
    output logic                 last_o,   // the last beat of a product
    output logic [3*GROUP-1:0]   sums_o
);
  // A quarter of a job's words waits while its beats leave.
  localparam int INDEX_BITS = $clog2(WORDS / 4 + 3);
  localparam int WIDTH = 2 + TAG_BITS + ITEM_BITS + 2 + 4 * GROUP;
  logic [INDEX_BITS-1:0] write_q, read_q;
  logic comes;  // a word
  logic [1:0] word_flags;
  logic [TAG_BITS-1:0] word_tag;
  logic [ITEM_BITS-1:0] word_item;
  logic word_last, word_final;
  logic [4*GROUP-1:0] word;
  logic [WIDTH-1:0] entry;
  assign comes = flags_i != '0;
  assign {word_flags, word_tag, word_item, word_last, word_final, word} = entry;
  lut_ram #(
      .WIDTH(WIDTH),
      .DEPTH(1 << INDEX_BITS)
  ) u_words (
      .clk_i,
      .write_i        (comes),
      .write_address_i(write_q),
      .write_data_i   ({flags_i, tag_i, item_i, last_i, final_i, sums_i}),
      .read_address_i (read_q),
      .read_data_o    (entry)
  );

  // Sums that are left of the words before: none to three for each lane.
  logic [1:0] left_q, flags_q;
  logic [3*GROUP-1:0] rest_q;
  logic first_q, ended_q, final_q;  // a job begins; its last word has been taken; it is its product's last
  logic take, whole;
  assign whole = left_q == 2'd3;
  assign take = write_q != read_q && !whole;
  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      write_q <= '0;
      read_q <= '0;
      left_q <= '0;
      first_q <= 1'b1;
      flags_o <= '0;
    end else begin
      write_q <= write_q + INDEX_BITS'(comes);
      read_q <= read_q + INDEX_BITS'(take);
      flags_o <= take ? word_flags : whole ? flags_q : 2'd0;
      if (whole) left_q <= '0;
      else if (take) left_q <= word_last && left_q != 2'd2 ? '0 : left_q + 1'b1;
      if (take) first_q <= word_last;
    end

    if (take) begin
      {flags_q, tag_o, final_q, ended_q} <= {word_flags, word_tag, word_final, word_last};
      item_o <= first_q ? word_item : item_o + 1'b1;
    end else if (whole) item_o <= item_o + 1'b1;
    last_o <= take ? word_last && word_final && left_q != 2'd2 : ended_q && final_q;
    unique case (left_q)
      2'd0: {rest_q[GROUP-1:0], sums_o} <= word;
      2'd1: {rest_q[2*GROUP-1:0], sums_o} <= {word, rest_q[GROUP-1:0]};
      2'd2: {rest_q, sums_o} <= {word, rest_q[2*GROUP-1:0]};
      default: sums_o <= rest_q;
    endcase
  end
endmodule
