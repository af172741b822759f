// SPDX-License-Identifier: Apache-2.0
//
// Chooses the next character from its logits, in the integers of docs/numerics.md (Sampling): the code with the
// largest logit + temperature * noise, or the lowest code if several are equal. Temperature 0 gives the likeliest
// character, a higher one a draw from softmax(logits / temperature), by Gumbel noise (the Gumbel-max rule).
//
// Function  cycles (II = 1)
// choose    outputs / 4
#ifndef NNET_ZYNQ_LSTM_SAMPLING_H_
#define NNET_ZYNQ_LSTM_SAMPLING_H_

#include "ap_fixed.h"
#include "ap_int.h"

namespace nnet {
namespace zynq_lstm {

// noise_table, noise_tail and the constants of the generator; written by hls/vitis/templates.py.
#include "zynq_lstm_noise.h"

typedef ap_ufixed<12, 4> temperature_t;
typedef ap_fixed<16, 6> noise_t;

// Marsaglia's 128-bit xorshift (Journal of Statistical Software 8(14), 2003), period 2^128 - 1.
struct Xorshift128 {
    ap_uint<32> x, y, z, w;

    void seed(ap_uint<32> value) {
        x = XORSHIFT_X ^ value;
        y = XORSHIFT_Y;
        z = XORSHIFT_Z;
        w = XORSHIFT_W;
    Discard:
        for (unsigned n = 0; n < XORSHIFT_DISCARDED; n++) {
#pragma HLS PIPELINE II=1
            next();
        }
    }

    ap_uint<32> next() {
#pragma HLS INLINE
        const ap_uint<32> t = x ^ (x << 11);
        x = y;
        y = z;
        z = w;
        w = w ^ (w >> 19) ^ t ^ (t >> 8);
        return w;
    }
};

// The upper 24 bits of a random word give the octave (their leading zeros), the lower 8 the cell within it.
inline noise_t gumbel_noise(ap_uint<32> word) {
#pragma HLS INLINE
    ap_uint<5> octave = 24;
Zeros:
    for (unsigned n = 24; n > 0; n--) {
#pragma HLS UNROLL
        if (word[32 - n]) {
            octave = n - 1;
        }
    }
    const unsigned row = octave < 7 ? unsigned(octave) : 7;
    noise_t noise;
    noise.range() = ap_int<16>(noise_table[(row << 8) | unsigned(word.range(7, 0))] + noise_tail[octave]).range();
    return noise;
}

// Uses four random words for every four logits, and for the last ones if they are fewer.
template <unsigned OUTPUTS, class logits_T>
ap_uint<8> choose(const logits_T logits[OUTPUTS], temperature_t temperature, Xorshift128 &random) {
#pragma HLS INLINE off
#pragma HLS ARRAY_PARTITION variable=logits type=cyclic factor=4
    // Wide enough for any logit + temperature * noise, at the finer of the two binary points.
    typedef decltype(logits_T() + temperature_t() * noise_t()) score_t;
    ap_uint<8> best = 0;
    score_t highest = 0;
Words:
    for (unsigned word = 0; word < OUTPUTS; word += 4) {
#pragma HLS PIPELINE II=1
        for (unsigned lane = 0; lane < 4; lane++) {
#pragma HLS UNROLL
            const ap_uint<32> bits = random.next();
            const unsigned n = word + lane;
            if (n < OUTPUTS) {
                const score_t score = logits[n] + temperature * gumbel_noise(bits);
                if (n == 0 || score > highest) {
                    highest = score;
                    best = n;
                }
            }
        }
    }
    return best;
}

} // namespace zynq_lstm
} // namespace nnet

#endif
