// SPDX-License-Identifier: Apache-2.0
// Parameters of a network core (network_core.sv), which its shell (network_engine.sv) passes on; hls/engine/design.py
// computes their values.
    parameter int STAGES = 2,            // levels of all layers
    parameter int STAGE_BITS = 2,        // width of a stage's number in a job
    parameter int PIPELINES = 1,         // different gate pipelines
    parameter logic [STAGES*4-1:0] STAGE_PIPELINE = '0,  // number of stage k's pipeline
    parameter int GATE_LANES = 1,        // words of four sums that leave the array together
    parameter int BEATS = 256,           // beats of all stages
    parameter int FIRST_BEATS = 128,     // beats of the first stage
    parameter int VOCABULARY = 90,
    parameter int ROWS = 64,             // rows of the largest buffer of results, in one phase
    parameter int GROUP_UNITS = 26,
    parameter int SEGMENT_UNITS = 9,
    parameter int GROUP_SUMS = 4,        // how many of each unit's four sums a job makes
    parameter int DSP_DEPTH = 4,
    parameter int LUT_DEPTH = 0,
    parameter int PACK = 2,
    parameter int WEIGHT_BITS = 8,
    parameter int SUM_BITS = 24,
    parameter int WORDS = 512,           // words of weight memory
    parameter int WEIGHT_ROW_BITS = 9,   // shape of the weight memory (rom.sv)
    parameter bit PARITY = 1'b0,         // parity of the weight memory
    parameter int JOBS = 16,
    parameter int STEP_BITS = 6,
    parameter int COUNT_BITS = 5,
    parameter int ITEM_BITS = 8,         // width of the number of a beat or an output word
    parameter int H_BITS = 8,
    parameter int OUTPUT_BIAS_BITS = 20,
    parameter int OUTPUT_TOTAL_BITS = 26,
    parameter int OUTPUT_SHIFT = 0,
    parameter int LOGIT_SHIFT = 3,
    parameter bit LOGIT_HALF = 1'b1,
    parameter int LOGIT_BITS = 16,
    // widths of ports
    localparam int BEAT_BITS = BEATS > 1 ? $clog2(BEATS) : 1,
    localparam int X_ROWS = VOCABULARY * FIRST_BEATS,
    localparam int X_ADDRESS_BITS = $clog2(X_ROWS),
    localparam int OUTPUT_WORDS = (VOCABULARY + 3) / 4,
    localparam int WORD_BITS = OUTPUT_WORDS > 1 ? $clog2(OUTPUT_WORDS) : 1
