// SPDX-License-Identifier: Apache-2.0
// Ports of a network core, the same whatever computes the network. A core takes one character after the other,
// and returns its logits. network_core.sv is ours; sim/shell has others.
//
// A character starts beat by beat, with one unit of layer 0 for each gate pipeline. Each beat uses a credit: there
// are FIRST_BEATS at first, and the core returns each when that beat may start for the next character.
// The core reserves room for a character's logits in the output buffer, then sends them, a word of four at a
// time, in any number of cycles. A character's first word must not come before cycle SEED_LATENCY after the
// character's first beat: by then the noise of a seed written just before is ready. At most three characters
// are in progress.
    input  logic                      clk_i,
    input  logic                      rst_i,
    output logic                      credit_o,
    output logic                      grant_o,  // a beat may start in this cycle
    input  logic                      start_i,
    input  logic [BEAT_BITS-1:0]      beat_i,
    input  logic                      beat_last_i,
    input  logic                      fresh_i,  // the character starts from a zero state
    input  logic                      phase_i,  // 0 and 1 in turn
    input  logic [X_ADDRESS_BITS-1:0] row_address_i,  // the character's code + VOCABULARY * beat
    input  logic [1:0]                fresh_by_phase_i,  // fresh_i of the last character of each phase
    // there is room for one character's logits; the core reserves it
    input  logic                      room_i,
    output logic                      room_taken_o,
    // word_o comes LOGITS_LATENCY cycles before its logits; positions after the vocabulary hold the lowest value
    output logic                      word_valid_o,
    output logic [WORD_BITS-1:0]      word_o,
    output logic                      logits_valid_o,
    output logic                      logits_last_o,
    output logic [4*LOGIT_BITS-1:0]   logits_o,
    // set once for every cycle in which a weight memory gave a word of odd parity
    output logic                      parity_error_o
