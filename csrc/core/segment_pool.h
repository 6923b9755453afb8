// BatchNorm's sums, and a scale and shift, LeakyReLU and pooling over segments of rows in one pass
// over memory each way.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/arguments.h"
#include "core/group_layer.h"
#include "core/parallel.h"
#include "core/segments.h"
#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

constexpr int64_t kRowsInFloat = 64;  // that are summed in working precision before double

// Adds the sums of some rows and of their squares in N vectors of channels.
template <int N, class T>
PCCLUST_INLINE void add_moments(const T* rows, int64_t stride, int64_t count, double* total,
                                double* squares) {
  using V = typename Wide<T>::Type;
  constexpr int lanes = Wide<T>::lanes;
  for (int64_t begin = 0; begin < count; begin += kRowsInFloat) {
    V sum[N] = {}, square[N] = {};
    for (int64_t row = begin; row < std::min(count, begin + kRowsInFloat); ++row) {
      for (int n = 0; n < N; ++n) {
        const V z = load<V>(rows + row * stride + n * lanes);
        sum[n] += z;
        square[n] = multiply_add(z, z, square[n]);
      }
    }
    for (int n = 0; n < N; ++n) {
      add_to_totals<T>(total + n * lanes, sum[n]);
      add_to_totals<T>(squares + n * lanes, square[n]);
    }
  }
}

// What one channel of a piece gives, in whole vectors of channels.
template <class T>
struct PoolPiece {
  T* peaks;
  int32_t* chosen;
  double *sums, *slopes, *products;
};

template <int N, class T>
PCCLUST_INLINE void pool_rows(const SegmentPoolArguments<T>& a, const Piece& piece, int64_t first,
                              int64_t channel, const PoolPiece<T>& to) {
  using V = typename Wide<T>::Type;
  using Mask = typename Wide<T>::Mask;
  constexpr int lanes = Wide<T>::lanes;
  V scale[N], shift[N], best[N];
  Mask chosen[N];
  const V one = splat<V>(T(1)), slope = splat<V>(a.slope);
  for (int n = 0; n < N; ++n) {
    scale[n] = load<V>(a.scale + channel + n * lanes);
    shift[n] = load<V>(a.shift + channel + n * lanes);
    chosen[n] = Mask{};
  }
  for (int64_t begin = piece.begin; begin < piece.end; begin += kRowsInFloat) {
    V sum[N] = {}, slopes[N] = {}, products[N] = {};
    for (int64_t i = begin; i < std::min(piece.end, begin + kRowsInFloat); ++i) {
      const T* row = a.values + (a.members ? a.members[i] : i) * a.channels + channel;
      const auto place = Mask{} + static_cast<typename Wide<T>::Integer>(i - first);
      for (int n = 0; n < N; ++n) {
        const V z = load<V>(row + n * lanes), x = multiply_add(z, scale[n], shift[n]);
        const V factor = x > V{} ? one : slope, y = x * factor;
        const auto better = i == piece.begin ? Mask{} == Mask{} : (y > best[n]) | (y != y);
        best[n] = better ? y : best[n];
        chosen[n] = better ? place : chosen[n];
        sum[n] += y;
        slopes[n] += factor;
        products[n] = multiply_add(factor, z, products[n]);
      }
    }
    for (int n = 0; n < N; ++n) {
      add_to_totals<T>(to.sums + channel + n * lanes, sum[n]);
      add_to_totals<T>(to.slopes + channel + n * lanes, slopes[n]);
      add_to_totals<T>(to.products + channel + n * lanes, products[n]);
    }
  }
  for (int n = 0; n < N; ++n) {
    store(to.peaks + channel + n * lanes, best[n]);
    store(to.chosen + channel + n * lanes,
          __builtin_convertvector(chosen[n], typename Wide<T>::Positions));
  }
}

}  // namespace pcclust::inline PCCLUST_ISA
