// SPDX-License-Identifier: Apache-2.0
// The two functions of liblz4 that Verilator's FST writer calls, so that waveforms need no system library.
// Output is the LZ4 block format (lz4/doc/lz4_Block_format.md): greedy matching through one hash table.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

inline int LZ4_compressBound(int size) { return size + size / 255 + 16; }

namespace zynq_lstm_lz4 {

inline uint32_t read32(const uint8_t *at) {
  uint32_t value;
  std::memcpy(&value, at, 4);
  return value;
}

// Writes the part of a length that a token's four bits cannot hold, in bytes of up to 255.
inline uint8_t *write_length(uint8_t *out, size_t length) {
  if (length < 15) return out;
  for (length -= 15; length >= 255; length -= 255) *out++ = 255;
  *out++ = static_cast<uint8_t>(length);
  return out;
}

inline uint8_t *write_literals(uint8_t *out, const uint8_t *from, size_t literals, size_t match) {
  *out++ = static_cast<uint8_t>((literals < 15 ? literals : 15) << 4 | (match < 15 ? match : 15));
  out = write_length(out, literals);
  if (literals) std::memcpy(out, from, literals);
  return out + literals;
}

}  // namespace zynq_lstm_lz4

// `capacity` must be LZ4_compressBound(size) or more.
inline int LZ4_compress_default(const char *source, char *target, int size, int capacity) {
  using namespace zynq_lstm_lz4;
  constexpr int kMatch = 4, kLastLiterals = 5, kLastMatchStart = 12, kWindow = 65535, kHashBits = 13;
  if (size < 0 || capacity < LZ4_compressBound(size)) return 0;
  const auto *in = reinterpret_cast<const uint8_t *>(source);
  auto *out = reinterpret_cast<uint8_t *>(target);
  std::vector<int> table(1 << kHashBits, -1);
  int anchor = 0;
  // The format's end: no match starts in the last 12 bytes, and the last 5 are literals.
  for (int at = 0; at <= size - kLastMatchStart;) {
    const uint32_t sequence = read32(in + at);
    int &slot = table[(sequence * 2654435761u) >> (32 - kHashBits)];
    const int before = slot;
    slot = at;
    if (before < 0 || at - before > kWindow || read32(in + before) != sequence) {
      ++at;
      continue;
    }
    int length = kMatch;
    while (at + length < size - kLastLiterals && in[before + length] == in[at + length]) ++length;
    out = write_literals(out, in + anchor, at - anchor, length - kMatch);
    *out++ = static_cast<uint8_t>((at - before) & 255);
    *out++ = static_cast<uint8_t>((at - before) >> 8);
    out = write_length(out, length - kMatch);
    at += length;
    anchor = at;
  }
  out = write_literals(out, in + anchor, size - anchor, 0);
  return static_cast<int>(out - reinterpret_cast<uint8_t *>(target));
}
