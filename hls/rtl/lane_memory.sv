// SPDX-License-Identifier: Apache-2.0
// Passes a signal of every unit from WRITES gate pipelines side by side to READS others, in another number of lanes:
// unit u is in lane u % WRITES of the writer's beat u / WRITES, and in lane u % READS of the reader's beat u / READS.
// One of the numbers divides the other. Read latency 2 from the beat's number, as ram.sv.
module lane_memory #(
    parameter int WIDTH = 8,
    parameter int WRITES = 2,
    parameter int READS = 4,
    parameter int DEPTH = 32,      // beats of the wider side
    parameter int WRITE_BITS = 6,  // width of a beat's number
    parameter int READ_BITS = 5
) (
    input  logic                    clk_i,
    input  logic                    write_i,
    input  logic [WRITE_BITS-1:0]   write_beat_i,
    input  logic [WRITES*WIDTH-1:0] write_data_i,
    input  logic [READ_BITS-1:0]    read_beat_i,
    output logic [READS*WIDTH-1:0]  read_data_o
);
  localparam int BANKS = WRITES > READS ? WRITES : READS;
  localparam int WRITE_PARTS = BANKS / WRITES;  // beats of the writer in a row of all banks
  localparam int READ_PARTS = BANKS / READS;
  localparam int ADDRESS_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1;
  logic [BANKS*WIDTH-1:0] words;
  for (genvar k = 0; k < BANKS; k++) begin : gen_bank
    ram #(
        .WIDTH(WIDTH),
        .DEPTH(DEPTH)
    ) u_words (
        .clk_i,
        .write_i        (write_i && int'(write_beat_i) % WRITE_PARTS == k / WRITES),
        .write_address_i(ADDRESS_BITS'(int'(write_beat_i) / WRITE_PARTS)),
        .write_data_i   (write_data_i[(k%WRITES)*WIDTH+:WIDTH]),
        .read_address_i (ADDRESS_BITS'(int'(read_beat_i) / READ_PARTS)),
        .read_data_o    (words[k*WIDTH+:WIDTH])
    );
  end
  if (READ_PARTS == 1) begin : gen_whole
    assign read_data_o = words;
  end else begin : gen_part
    logic [READ_BITS-1:0] beat_2;
    delay #(
        .WIDTH (READ_BITS),
        .CYCLES(2)
    ) u_beat (
        .clk_i,
        .data_i(read_beat_i),
        .data_o(beat_2)
    );
    always_comb begin
      read_data_o = words[READS*WIDTH-1:0];
      for (int k = 1; k < READ_PARTS; k++) begin
        if (int'(beat_2) % READ_PARTS == k) read_data_o = words[k*READS*WIDTH+:READS*WIDTH];
      end
    end
  end
endmodule
