// The sums of BatchNorm: of rows and of their squares, in double, in one pass over memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "core/arguments.h"
#include "core/buffer.h"
#include "core/group_layer.h"
#include "core/parallel.h"
#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

constexpr int64_t kMomentRows = 1024, kMomentRowsInCache = 32;

// As many numbers as V has, from memory of any floating type.
template <class V, class T>
PCCLUST_INLINE V load_as(const T* from) {
  if constexpr (std::is_arithmetic_v<V>) {
    return *from;
  } else {
    typedef T Narrow __attribute__((vector_size(sizeof(V) / sizeof(double) * sizeof(T))));
#if defined(PCCLUST_HAS_AVX512)
    if constexpr (sizeof(T) == 4) return (V)_mm512_cvtps_pd((__m256)load<Narrow>(from));
#endif
    return __builtin_convertvector(load<Narrow>(from), V);
  }
}

// Adds N groups of channels of rows, and their squares, to sums: several groups, since each sum waits
// for its last. Squares are those of doubles; in float they overflow and lose a small variance.
template <class V, int N, class T>
PCCLUST_INLINE void add_moments(const T* rows, int64_t stride, int64_t count, double* sums,
                                double* squares) {
  constexpr int lanes = sizeof(V) / sizeof(double);
  V sum[N], square[N];
  for (int i = 0; i < N; ++i) {
    sum[i] = load<V>(sums + i * lanes);
    square[i] = load<V>(squares + i * lanes);
  }
  for (int64_t row = 0; row < count; ++row) {
    for (int i = 0; i < N; ++i) {
      const V z = load_as<V>(rows + row * stride + i * lanes);
      sum[i] += z;
      square[i] = multiply_add(z, z, square[i]);
    }
  }
  for (int i = 0; i < N; ++i) {
    store(sums + i * lanes, sum[i]);
    store(squares + i * lanes, square[i]);
  }
}

// Sums all rows, and their squares, block by block in the same order for any number of threads.
template <class T>
void row_moments(const RowMomentsArguments<T>& a, const Threads& threads) {
  using V = typename Vector<double>::Type;
  const int64_t blocks = (a.rows + kMomentRows - 1) / kMomentRows, width = 2 * a.channels;
  Buffer<double> partial(blocks * width);
  for_each_task(threads, blocks, [&](int64_t block) {
    double* sums = partial.data() + block * width;
    std::fill(sums, sums + width, 0.0);
    const int64_t end = std::min(a.rows, (block + 1) * kMomentRows);
    for (int64_t begin = block * kMomentRows; begin < end; begin += kMomentRowsInCache) {
      const T* rows = a.values + begin * a.channels;
      const int64_t count = std::min(end - begin, kMomentRowsInCache);
      int64_t c = 0;
      const auto add = [&]<class W, int N>(W, std::integral_constant<int, N>) {
        add_moments<W, N>(rows + c, a.channels, count, sums + c, sums + a.channels + c);
        c += N * static_cast<int64_t>(sizeof(W) / sizeof(double));
      };
      constexpr int64_t lanes = Vector<double>::lanes;
      while (c + 4 * lanes <= a.channels) add(V{}, std::integral_constant<int, 4>{});
      while (c + lanes <= a.channels) add(V{}, std::integral_constant<int, 1>{});
      while (c < a.channels) add(double{}, std::integral_constant<int, 1>{});
    }
  });
  std::fill(a.moments, a.moments + width, 0.0);
  for (int64_t block = 0; block < blocks; ++block) {
    for (int64_t i = 0; i < width; ++i) a.moments[i] += partial[block * width + i];
  }
}

}  // namespace pcclust::inline PCCLUST_ISA
