// Points of many dimensions, sixteen side by side, and their distances to blocks of queries.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "core/buffer.h"
#include "core/simd.h"
#include "core/tree.h"

namespace pcclust::inline PCCLUST_ISA {

constexpr int64_t kExactDims = 8;
constexpr int kBlock = 8;           // queries that share a panel's registers
constexpr int kGroup = 4 * kBlock;  // queries that share a panel in the cache
constexpr int64_t kSpare = 8;       // screened candidates beyond k

// Whether products choose candidates first, or every distance is summed exactly.
template <class T>
constexpr bool is_screened(int64_t dims) {
  return std::is_same_v<T, float> && dims > kExactDims;
}

// The points of one cloud, sixteen side by side: values[panel][dimension][lane].
template <class T>
struct Panels {
  int64_t count = 0, dims = 0, panels = 0;
  Buffer<T> values, squares;  // squares: |p|², where points are screened
  Buffer<T> center;
  Buffer<int32_t> ids;
  T farthest = 0;  // the largest |p|

  // Points to be screened are centred; unused lanes are NaN, nobody's neighbour.
  void pack(const T* points, int64_t points_count, int64_t dimensions) {
    count = points_count;
    dims = dimensions;
    panels = (count + kFan - 1) / kFan;
    values.resize(panels * kFan * dims);
    squares.resize(panels * kFan);
    ids.resize(panels * kFan);
    center.resize(dims);
    std::fill_n(center.data(), dims, T(0));
    if (is_screened<T>(dims)) find_center(points);
    farthest = 0;
    for (int64_t i = 0; i < panels * kFan; ++i) pack_point(i < count ? points + i * dims : nullptr, i);
  }

 private:
  // Far from the origin, a product would lose the distances to cancellation.
  void find_center(const T* points) {
    for (int64_t d = 0; d < dims; ++d) {
      double sum = 0;
      for (int64_t i = 0; i < count; ++i) sum += points[i * dims + d];
      center[d] = static_cast<T>(sum / static_cast<double>(count));
    }
  }

  void pack_point(const T* point, int64_t i) {
    T square = 0;
    for (int64_t d = 0; d < dims; ++d) {
      const T value = point ? point[d] - center[d] : std::numeric_limits<T>::quiet_NaN();
      values[(i / kFan * dims + d) * kFan + i % kFan] = value;
      square += value * value;
    }
    squares[i] = square;
    ids[i] = static_cast<int32_t>(i);
    if (point) farthest = std::max(farthest, std::sqrt(square));
  }
};

// Distances of kBlock queries to the points of one panel, summed in order of dimension.
template <class T>
void measure_panel(const T* const (&query)[kBlock], const T* panel, int64_t dims,
                   T (&out)[kBlock][kFan]) {
  using V = typename Vector<T>::Type;
  constexpr int kLanes = Vector<T>::lanes;
  for (int lane = 0; lane < kFan; lane += kLanes) {
    V sum[kBlock] = {};
    for (int64_t d = 0; d < dims; ++d) {
      const V point = load<V>(panel + d * kFan + lane);
      for (int q = 0; q < kBlock; ++q) {
        const V difference = query[q][d] - point;
        sum[q] = sum[q] + difference * difference;
      }
    }
    for (int q = 0; q < kBlock; ++q) store(out[q] + lane, sum[q]);
  }
}

// |p|² - 2⟨q, p⟩ + |q|² of kBlock queries and the points of one panel.
inline void screen_panel(const float* const (&query)[kBlock], const float (&query_square)[kBlock],
                         const float* panel, const float* squares, int64_t dims,
                         float (&out)[kBlock][kFan]) {
  F32x16 product[kBlock] = {};
  for (int64_t d = 0; d < dims; ++d) {
    const F32x16 point = load<F32x16>(panel + d * kFan);
    for (int q = 0; q < kBlock; ++q) {
      product[q] = multiply_add(splat<F32x16>(query[q][d]), point, product[q]);
    }
  }
  for (int q = 0; q < kBlock; ++q) {
    const F32x16 distance = (load<F32x16>(squares) - 2.0f * product[q]) + query_square[q];
    // A NaN stays: the comparison is false for it.
    store(out[q], distance < F32x16{} ? F32x16{} : distance);
  }
}

}  // namespace pcclust::inline PCCLUST_ISA
