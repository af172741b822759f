// SPDX-License-Identifier: Apache-2.0
// Runs the schedule: a pass through the job memory for each character, a job for each group of sums, one step per
// cycle, without a gap between jobs unless a job must wait
//   for the results that it reads (counted per stage, modulo 4, against the passes begun), or
//   for room in the output buffer, at the first job of the output layer.
// Weights are in memory in the order of the schedule, so that their address only counts up.
//
// hls/engine/constants.py defines the fields of a job.
module mac_sequencer #(
    parameter int STAGES = 2,
    parameter int STAGE_BITS = 2,
    parameter int JOBS = 16,
    parameter int WORDS = 512,
    parameter int ROW_BITS = 6,
    parameter int STEP_BITS = 6,
    parameter int ITEM_BITS = 8,   // width of the number of a job's first beat or word
    parameter int TAG_BITS = 13,
    parameter int COUNT_BITS = 5,
    localparam int ADDRESS_BITS = WORDS > 1 ? $clog2(WORDS) : 1
) (
    input  logic                    clk_i,
    input  logic                    rst_i,
    // by stage: number of characters whose results are finished (modulo 4)
    input  logic [STAGES*2-1:0]     finished_i,
    input  logic                    room_i,
    output logic                    room_taken_o,
    // control bundle for the array, and the stage and row of the results that belong to it
    output logic [ADDRESS_BITS-1:0] address_o,
    output logic                    valid_o,
    output logic                    first_o,
    output logic                    last_o,
    output logic [TAG_BITS-1:0]     tag_o,
    output logic [COUNT_BITS-1:0]   count_o,
    output logic                    phase_o,
    output logic [STAGE_BITS-1:0]   source_o,
    output logic [ROW_BITS-1:0]     row_o
);
  `include "zynq_lstm_job.svh"
  localparam int INDEX_BITS = JOBS > 1 ? $clog2(JOBS) : 1;

  // The next job is read ahead, into registers.
  logic [INDEX_BITS-1:0] next_index_q;
  logic [JOB_BITS-1:0] next_q, job;
  lut_rom #(
      .WIDTH(JOB_BITS),
      .DEPTH(JOBS),
      .FILE ("schedule.mem")
  ) u_jobs (
      .address_i(next_index_q),
      .data_o   (job)
  );
  logic next_loaded_q;
  logic next_wait_room;
  logic [STAGE_BITS-1:0] job_source;
  logic [ROW_BITS-1:0] next_row;
  logic [STEP_BITS-1:0] next_steps, next_cycles;
  logic [TAG_BITS-1:0] next_tag;
  logic [COUNT_BITS-1:0] next_count;
  assign next_wait_room = next_q[JOB_WAIT_ROOM];
  assign next_row = next_q[JOB_ROW+:ROW_BITS];
  assign next_steps = next_q[JOB_STEPS+:STEP_BITS];
  assign next_cycles = next_q[JOB_CYCLES+:STEP_BITS];
  assign next_tag = next_q[JOB_TAG+:TAG_BITS];
  assign next_count = next_q[JOB_COUNT+:COUNT_BITS];
  assign job_source = job[JOB_SOURCE+:STAGE_BITS];

  // finished_i minus the passes begun: a stage is ready for a job of this pass unless it lags by one, and ready
  // for the first job of the next pass if it leads by one. It can't lag or lead by more.
  logic [1:0] begun_q;
  // Looked up with the job that is being read, so that a single register holds whether the job's source is ready.
  logic next_is_first_q, ready, ready_q;
  always_comb begin
    ready = 1'b0;
    for (int k = 0; k < int'(STAGES); k++) begin
      if (job_source == STAGE_BITS'(k)) begin
        ready = next_is_first_q ? finished_i[2*k+:2] - begun_q == 2'd1 : finished_i[2*k+:2] - begun_q != 2'd3;
      end
    end
  end

  logic free_q;  // the last job's cycles are over; every job has 2 or more
  logic [STEP_BITS-1:0] steps_left_q, cycles_left_q;
  logic start;
  assign start = next_loaded_q && free_q && ready_q && (room_i || !next_wait_room);
  assign room_taken_o = start && next_wait_room;

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      next_index_q <= '0;
      next_loaded_q <= 1'b0;
      next_is_first_q <= 1'b1;
      begun_q <= '0;
      free_q <= 1'b1;
      valid_o <= 1'b0;
    end else begin
      next_loaded_q <= !start;
      free_q <= !start && (free_q || cycles_left_q == STEP_BITS'(1));
      if (start) begin
        next_index_q <= next_index_q == INDEX_BITS'(JOBS - 1) ? '0 : next_index_q + 1'b1;
        next_is_first_q <= next_index_q == INDEX_BITS'(JOBS - 1);
        if (next_is_first_q) begun_q <= begun_q + 1'b1;
        valid_o <= 1'b1;
      end else if (steps_left_q == '0) valid_o <= 1'b0;
    end

    next_q <= job;
    ready_q <= ready;
    if (start) begin
      address_o <= next_is_first_q ? '0 : address_o + 1'b1;
      first_o <= 1'b1;
      last_o <= next_steps == '0;
      steps_left_q <= next_steps;
      cycles_left_q <= next_cycles;
      row_o <= next_row;
      source_o <= next_q[JOB_SOURCE+:STAGE_BITS];
      phase_o <= begun_q[0] ^ ~next_is_first_q;
      tag_o <= next_tag;
      count_o <= next_count;
    end else begin
      if (steps_left_q != '0) begin
        address_o <= address_o + 1'b1;
        row_o <= row_o + 1'b1;
        steps_left_q <= steps_left_q - 1'b1;
      end
      first_o <= 1'b0;
      last_o <= steps_left_q == STEP_BITS'(1);
      if (cycles_left_q != '0) cycles_left_q <= cycles_left_q - 1'b1;
    end
  end
endmodule
