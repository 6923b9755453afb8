// A scale, an offset and LeakyReLU in one pass over memory each way.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/arguments.h"
#include "core/buffer.h"
#include "core/channels.h"
#include "core/parallel.h"
#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

constexpr int64_t kLeakyRows = 1024;  // that one thread takes at a time

inline int64_t leaky_blocks(int64_t rows) { return (rows + kLeakyRows - 1) / kLeakyRows; }

template <class T>
void scaled_leaky(const ScaledLeakyArguments<T>& a, const Threads& threads) {
  for_each_task(threads, leaky_blocks(a.rows), [&](int64_t block) {
    const int64_t end = std::min(a.rows, (block + 1) * kLeakyRows);
    for (int64_t row = block * kLeakyRows; row < end; ++row) {
      for_each_channels<T>(a.channels, [&]<class V>(V, int64_t channel) {
        const int64_t at = row * a.channels + channel;
        const V scale = load<V>(a.scale + channel), offset = load<V>(a.offset + channel);
        const V x = multiply_add(load<V>(a.values + at), scale, offset);
        store(a.out + at, where(less(V{}, x), x, x * a.slope));
      });
    }
  });
}

// The gradient of rows [begin, end), and what they add to that of scale and offset. Each number is
// read before its gradient is written, which may lie in its place.
template <class V, class T>
PCCLUST_INLINE void pull_leaky(const ScaledLeakyBackwardArguments<T>& a, int64_t begin, int64_t end,
                               int64_t channel, double* sums) {
  const V scale = load<V>(a.scale + channel), offset = load<V>(a.offset + channel);
  V to_scale{}, to_offset{};
  for (int64_t row = begin; row < end; ++row) {
    const int64_t at = row * a.channels + channel;
    const V z = load<V>(a.values + at), pull = load<V>(a.to_out + at);
    const V x = multiply_add(z, scale, offset), to_x = where(less(V{}, x), pull, pull * a.slope);
    to_scale = multiply_add(to_x, z, to_scale);
    to_offset += to_x;
    store(a.gradient + at, to_x * scale);
  }
  add_in_double(sums + channel, to_scale);
  add_in_double(sums + a.channels + channel, to_offset);
}

// Sums are those of blocks, in the same order for any number of threads.
template <class T>
void scaled_leaky_backward(const ScaledLeakyBackwardArguments<T>& a, const Threads& threads) {
  const int64_t blocks = leaky_blocks(a.rows), width = 2 * a.channels;
  Buffer<double> partial(blocks * width);
  for_each_task(threads, blocks, [&](int64_t block) {
    double* sums = partial.data() + block * width;
    std::fill_n(sums, width, 0.0);
    const int64_t last = std::min(a.rows, (block + 1) * kLeakyRows);
    for (int64_t begin = block * kLeakyRows; begin < last; begin += kRowsInFloat) {
      const int64_t end = std::min(last, begin + kRowsInFloat);
      for_each_channels<T>(a.channels, [&]<class V>(V, int64_t channel) {
        pull_leaky<V>(a, begin, end, channel, sums);
      });
    }
  });
  std::fill_n(a.sums, width, 0.0);
  for (int64_t block = 0; block < blocks; ++block) {
    for (int64_t i = 0; i < width; ++i) a.sums[i] += partial[block * width + i];
  }
}

}  // namespace pcclust::inline PCCLUST_ISA
