// SPDX-License-Identifier: Apache-2.0
// Parameters and ports of a kernel, which computes the logits of one character at a time.
#(
    parameter int VOCABULARY = 90,
    parameter int LOGIT_BITS = 16
) (
    input  logic                             clk_i,
    input  logic                             rst_i,
    input  logic                             start_i,  // for one cycle; the next start comes after done_o
    input  logic                             fresh_i,  // from a zero state
    input  logic [14:0]                      code_i,
    output logic                             done_o,   // for one cycle; logits_o then stays until start_i
    output logic [VOCABULARY*LOGIT_BITS-1:0] logits_o
)
