// SPDX-License-Identifier: Apache-2.0
// Test bench of the top function, for C simulation and for simulation of the RTL that Vitis HLS makes. Compares
// every logit of every character of tb_data/vectors.txt, as integers. Returns 1 if a logit differs.
//
// vectors.txt has the numbers of characters and of logits; then, for each character, the input word (its code,
// and bit 15 to clear the state) and the raw logits. hls/vendor/projects.py writes it from the NumPy reference.
#include <cstdio>
#include <fstream>
#include <vector>

#include "firmware/char_lstm.h"

template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> long long raw(const ap_fixed<W, I, Q, O, N> &value) {
    ap_int<W> bits;
    bits.range() = value.range();
    return bits.to_int64();
}

int main() {
    std::ifstream vectors("tb_data/vectors.txt");
    int characters = 0, logits = 0;
    vectors >> characters >> logits;
    if (!vectors || characters < 1 || logits < 1) {
        std::printf("ERROR: tb_data/vectors.txt is missing or empty\n");
        return 1;
    }
    std::vector<result_t> got(logits);
    for (int character = 0; character < characters; character++) {
        int word = 0;
        vectors >> word;
        input_t codes[1];
        codes[0] = word;
        char_lstm(codes, got.data());
        for (int k = 0; k < logits; k++) {
            long long wanted = 0;
            vectors >> wanted;
            if (!vectors) {
                std::printf("ERROR: tb_data/vectors.txt ends within character %d\n", character);
                return 1;
            }
            if (raw(got[k]) != wanted) {
                std::printf("ERROR: character %d, logit %d: %lld, reference %lld\n", character, k, raw(got[k]),
                            wanted);
                return 1;
            }
        }
    }
    std::printf("%d logits of %d characters: equal\n", characters * logits, characters);
    return 0;
}
