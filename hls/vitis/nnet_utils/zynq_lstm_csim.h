// SPDX-License-Identifier: Apache-2.0
//
// Functions of the C simulation that the hardware does not have: they record every internal signal, clear the
// state from outside, check the proof of the accumulators' widths, and let the network generate text by itself.
// Synthesis never sees this file.
#ifndef NNET_ZYNQ_LSTM_CSIM_H_
#define NNET_ZYNQ_LSTM_CSIM_H_

#include <cstddef>

#include "zynq_lstm_sampling.h"

namespace nnet {
namespace zynq_lstm {
namespace csim {

template <bool WIDE> struct Integer {
    typedef int type;
};
template <> struct Integer<true> {
    typedef long long type;
};

// One of each per translation unit; the kernels and the functions below are in the same unit.
static bool reset_requested = false;
static long long *trace_next = 0, *trace_end = 0;
static unsigned long long sums_too_wide = 0;
static bool choosing = false;
static unsigned chosen = 0;
static temperature_t temperature = 0;
static Xorshift128 random;

inline void check(bool fits) { sums_too_wide += !fits; }

inline bool take_reset() {
    const bool requested = reset_requested;
    reset_requested = false;
    return requested;
}

inline bool tracing() { return trace_next != 0; }

// Values that don't fit in the buffer are dropped; the caller gets too few of them.
inline void record(const long long *values, size_t count) {
    for (size_t n = 0; n < count && trace_next != trace_end; n++) {
        *trace_next++ = values[n];
    }
}

} // namespace csim
} // namespace zynq_lstm
} // namespace nnet

extern "C" {

// The next character starts with h = c = 0 in every layer.
__attribute__((weak)) void zynq_lstm_reset() { nnet::zynq_lstm::csim::reset_requested = true; }

// Record raw values into a buffer from here on: for each character, 12 values for each unit of each layer (z of
// i, f, g and o, then i, f, g, o, c, ct, tc, h), then the logits.
__attribute__((weak)) void zynq_lstm_trace(long long *buffer, size_t count) {
    nnet::zynq_lstm::csim::trace_next = buffer;
    nnet::zynq_lstm::csim::trace_end = buffer + count;
}

// Stop recording, and return the end of the recorded values.
__attribute__((weak)) long long *zynq_lstm_trace_end() {
    long long *end = nnet::zynq_lstm::csim::trace_next;
    nnet::zynq_lstm::csim::trace_next = 0;
    return end;
}

// Number of sums that did not fit their accumulator; anything but 0 is a defect.
__attribute__((weak)) unsigned long long zynq_lstm_sums_too_wide() { return nnet::zynq_lstm::csim::sums_too_wide; }

// Start the random sequence of a seed.
__attribute__((weak)) void zynq_lstm_seed(unsigned value) { nnet::zynq_lstm::csim::random.seed(value); }

// Generate `length` characters after `code`: each is the input for the next. `network` is hls4ml's top function
// for doubles, `logits` a buffer for its output, `temperature` a raw value.
__attribute__((weak)) void zynq_lstm_generate(void (*network)(double *, double *), unsigned code, size_t length,
                                              unsigned temperature, double *logits, long long *codes) {
    using namespace nnet::zynq_lstm;
    csim::temperature.range() = ap_uint<12>(temperature).range();
    csim::choosing = true;
    for (size_t n = 0; n < length; n++) {
        double word = code;
        network(&word, logits);
        code = csim::chosen;
        codes[n] = code;
    }
    csim::choosing = false;
}
}

#endif
