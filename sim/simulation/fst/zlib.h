// SPDX-License-Identifier: Apache-2.0
// The part of zlib that Verilator's FST writer calls, so that waveforms need no system library. Data is
// stored, not deflated (RFC 1950, RFC 1951 3.2.4); the writer then uses it unchanged. The large parts of a
// waveform go through LZ4 (lz4.h).
#pragma once

#include <cstdint>
#include <cstring>

typedef unsigned char Bytef;
typedef unsigned long uLong;
typedef unsigned long uLongf;
#define Z_OK 0
#define Z_BUF_ERROR (-5)

inline uLong compressBound(uLong size) { return size + 5 * (size / 65535 + 1) + 6; }

inline int compress2(Bytef *target, uLongf *target_size, const Bytef *source, uLong size, int) {
  if (*target_size < compressBound(size)) return Z_BUF_ERROR;
  Bytef *out = target;
  *out++ = 0x78;
  *out++ = 0x01;
  uint32_t a = 1, b = 0;  // Adler-32
  for (uLong k = 0; k < size; ++k) {
    a = (a + source[k]) % 65521;
    b = (b + a) % 65521;
  }
  do {
    const uLong block = size < 65535 ? size : 65535;
    *out++ = block == size;  // the last one
    *out++ = static_cast<Bytef>(block & 255);
    *out++ = static_cast<Bytef>(block >> 8);
    *out++ = static_cast<Bytef>(~block & 255);
    *out++ = static_cast<Bytef>(~block >> 8 & 255);
    if (block) std::memcpy(out, source, block);
    out += block;
    source += block;
    size -= block;
  } while (size);
  for (uint32_t half : {b, a}) {
    *out++ = static_cast<Bytef>(half >> 8);
    *out++ = static_cast<Bytef>(half & 255);
  }
  *target_size = static_cast<uLongf>(out - target);
  return Z_OK;
}
