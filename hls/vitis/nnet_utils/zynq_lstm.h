// SPDX-License-Identifier: Apache-2.0
//
// Sums of products, roundings and the output layer, whose every integer is that of the NumPy reference.
// zynq_lstm_cells.h has the recurrent layers, which are made of these.
//
//   logits = q(h.W + b)
//
// One call takes one character through a layer; h and c stay in the layer until a character comes with
// its reset flag set. Weights are in block RAM, with a word of ROWS x LANES weights for each clock cycle.
//
// Function       cycles (II = 1 in every loop)
// first layer    groups + units*groups/rows + units
// other layers   (inputs + units)*groups/rows + units
// output layer   units*groups/rows
#ifndef NNET_ZYNQ_LSTM_H_
#define NNET_ZYNQ_LSTM_H_

#include "ap_fixed.h"
#include "ap_int.h"

#include "zynq_lstm_sampling.h"

#ifndef __SYNTHESIS__
#include "zynq_lstm_csim.h"
#endif

namespace nnet {
namespace zynq_lstm {

// A character on the input port: its code, and above it the flag that clears the state first.
const unsigned CODE_BITS = 15;

// Column G*u + k of W, U and b is gate k of G of unit u, so that a unit's sums are neighbours and can be read in
// one cycle from a cyclic partition.

// Returns the bits of a fixed-point value as an integer; this is only wiring.
template <int W, int N, ap_q_mode Q, ap_o_mode V, int S> ap_int<W> raw(const ap_fixed<W, N, Q, V, S> &value) {
#pragma HLS INLINE
    ap_int<W> bits;
    bits.range() = value.range();
    return bits;
}
template <int W, int N, ap_q_mode Q, ap_o_mode V, int S> ap_uint<W> raw(const ap_ufixed<W, N, Q, V, S> &value) {
#pragma HLS INLINE
    ap_uint<W> bits;
    bits.range() = value.range();
    return bits;
}

#ifndef __SYNTHESIS__
// Of signals, which may be unsigned.
template <class T> long long signed_raw(const T &value) { return raw(value); }
#endif

// A table's address is the value's bits read as an unsigned number.
template <class T> ap_uint<T::width> address(const T &value) {
#pragma HLS INLINE
    ap_uint<T::width> bits;
    bits.range() = value.range();
    return bits;
}

// Sums are integers at the accumulator's binary point, in the width that was proved to suffice for these weights.
// The C simulation adds machine integers instead, a hundred times faster, and checks each sum against
// that width: integer sums modulo 2**width agree if the result fits.
#if defined(__SYNTHESIS__) || defined(ZYNQ_LSTM_AP_INT)
template <int WIDTH> struct Sum {
    typedef ap_int<WIDTH> type;
};
template <class T> auto operand(const T &value) -> decltype(raw(value)) {
#pragma HLS INLINE
    return raw(value);
}
#else
template <int WIDTH> struct Sum {
    typedef typename csim::Integer<(WIDTH > 32)>::type type;
};
template <class T> long long operand(const T &value) { return value.V.to_int64(); }
#endif

template <class T> struct Point {
    static const int frac = T::width - T::iwidth;
};

// Converts a value to another format. The value is widened first: by a sign bit, which an unsigned one lacks, and far
// enough to have the bit that decides the rounding, even if all its values are smaller than the new format's step.
template <class to_T, class from_T> to_T rounded(const from_T &value) {
#pragma HLS INLINE
    static const int dropped = Point<from_T>::frac - Point<to_T>::frac;
    static const int more = dropped < from_T::width ? 1 : dropped + 1 - from_T::width;
    const ap_fixed<from_T::width + more, from_T::iwidth + more> wide = value;
    return wide;
}

// Returns a sum as a fixed-point number.
template <class accum_T, class sum_T> accum_T fixed_point(const sum_T &sum) {
#pragma HLS INLINE
    ap_int<accum_T::width> bits = sum;
#ifndef __SYNTHESIS__
    csim::check(bits == sum);
#endif
    accum_T value;
    value.range() = bits.range();
    return value;
}

// Returns a value as a sum of one term.
template <class accum_T, class T> typename Sum<accum_T::width>::type term(const T &value) {
#pragma HLS INLINE
    return typename Sum<accum_T::width>::type(operand(value)) << (Point<accum_T>::frac - Point<T>::frac);
}

// sums = b, LANES columns in each cycle.
template <class CONFIG_T, class sum_T>
void start_sums(const typename CONFIG_T::b_t b[CONFIG_T::columns], sum_T sums[CONFIG_T::columns]) {
#pragma HLS INLINE
    const unsigned lanes = CONFIG_T::lanes;
#pragma HLS ARRAY_RESHAPE variable=b type=cyclic factor=lanes
Bias:
    for (unsigned group = 0; group < CONFIG_T::columns; group += lanes) {
#pragma HLS PIPELINE II=1
        for (unsigned lane = 0; lane < lanes; lane++) {
#pragma HLS UNROLL
            sums[group + lane] = term<typename CONFIG_T::accum_t>(b[group + lane]);
        }
    }
}

// sums += x.w, LANES columns by ROWS inputs in each cycle.
template <class CONFIG_T, unsigned INPUTS, class x_T, class w_T, class sum_T>
void multiply_accumulate(const x_T x[INPUTS], const w_T w[INPUTS * CONFIG_T::columns],
                         sum_T sums[CONFIG_T::columns]) {
#pragma HLS INLINE
    const unsigned word = CONFIG_T::rows * CONFIG_T::lanes;
    const int shift = Point<typename CONFIG_T::accum_t>::frac - Point<x_T>::frac - Point<w_T>::frac;
#pragma HLS ARRAY_RESHAPE variable=w type=cyclic factor=word
#pragma HLS BIND_STORAGE variable=w type=rom_1p impl=bram

    sum_T partial[CONFIG_T::lanes];
#pragma HLS ARRAY_PARTITION variable=partial type=complete

Columns:
    for (unsigned group = 0; group < CONFIG_T::columns; group += CONFIG_T::lanes) {
    Inputs:
        for (unsigned k = 0; k < INPUTS; k += CONFIG_T::rows) {
#pragma HLS PIPELINE II=1
        Lanes:
            for (unsigned lane = 0; lane < CONFIG_T::lanes; lane++) {
#pragma HLS UNROLL
                sum_T sum = k == 0 ? sums[group + lane] : partial[lane];
            Rows:
                for (unsigned row = 0; row < CONFIG_T::rows; row++) {
#pragma HLS UNROLL
                    const w_T &weight = w[(k + row) * CONFIG_T::columns + group + lane];
                    sum += sum_T(operand(x[k + row]) * operand(weight)) << shift;
                }
                partial[lane] = sum;
                if (k + CONFIG_T::rows == INPUTS) {
                    sums[group + lane] = sum;
                }
            }
        }
    }
}

// sums = b + W[row], LANES columns in each cycle.
template <class CONFIG_T, class code_T, class w_T, class b_T, class sum_T>
void look_up_row(const code_T &row, const w_T *W, const b_T *b, sum_T sums[CONFIG_T::columns]) {
#pragma HLS INLINE
    typedef typename CONFIG_T::accum_t accum_t;
Row:
    for (unsigned group = 0; group < CONFIG_T::columns; group += CONFIG_T::lanes) {
#pragma HLS PIPELINE II=1
        for (unsigned lane = 0; lane < CONFIG_T::lanes; lane++) {
#pragma HLS UNROLL
            const unsigned n = group + lane;
            sums[n] = term<accum_t>(b[n]) + term<accum_t>(W[row * CONFIG_T::columns + n]);
        }
    }
}

// sums = 0, LANES columns in each cycle.
template <class CONFIG_T, class sum_T> void clear_sums(sum_T sums[CONFIG_T::columns]) {
#pragma HLS INLINE
Zero:
    for (unsigned group = 0; group < CONFIG_T::columns; group += CONFIG_T::lanes) {
#pragma HLS PIPELINE II=1
        for (unsigned lane = 0; lane < CONFIG_T::lanes; lane++) {
#pragma HLS UNROLL
            sums[group + lane] = 0;
        }
    }
}

// The output layer. Its columns are padded to a multiple of LANES.
template <class x_T, class y_T, class CONFIG_T>
void dense(const x_T x[CONFIG_T::inputs], y_T logits[CONFIG_T::outputs],
           const typename CONFIG_T::W_t W[CONFIG_T::inputs * CONFIG_T::columns],
           const typename CONFIG_T::b_t b[CONFIG_T::columns]) {
#pragma HLS INLINE off
    typedef typename CONFIG_T::accum_t accum_t;
    typedef typename Sum<accum_t::width>::type sum_t;
    const unsigned lanes = CONFIG_T::lanes;
    sum_t sums[CONFIG_T::columns];
#pragma HLS ARRAY_PARTITION variable=sums type=cyclic factor=lanes

    start_sums<CONFIG_T>(b, sums);
    multiply_accumulate<CONFIG_T, CONFIG_T::inputs>(x, W, sums);

Logits:
    for (unsigned n = 0; n < CONFIG_T::outputs; n++) {
#pragma HLS PIPELINE II=1
        logits[n] = rounded<y_T>(fixed_point<accum_t>(sums[n]));
#ifndef __SYNTHESIS__
        if (csim::tracing()) {
            const long long value = raw(logits[n]);
            csim::record(&value, 1);
        }
#endif
    }
#ifndef __SYNTHESIS__
    if (csim::choosing) {
        csim::chosen = choose<CONFIG_T::outputs>(logits, csim::temperature, csim::random);
    }
#endif
}

} // namespace zynq_lstm
} // namespace nnet

#endif
