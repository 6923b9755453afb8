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
#if defined(PCCLUST_HAS_AVX512)
constexpr int kAbreast = 3;  // panels that share a query's number in a register
#else
constexpr int kAbreast = 1;
#endif
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
    for (int64_t panel = 0; panel < panels; ++panel) pack_panel(points, panel);
  }

 private:
  // Far from the origin, a product would lose the distances to cancellation.
  void find_center(const T* points) {
    Buffer<double> sum(dims);
    std::fill_n(sum.data(), dims, 0.0);
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t d = 0; d < dims; ++d) sum[d] += points[i * dims + d];
    }
    for (int64_t d = 0; d < dims; ++d) center[d] = static_cast<T>(sum[d] / static_cast<double>(count));
  }

  void pack_panel(const T* points, int64_t panel) {
    T* to = values.data() + panel * dims * kFan;
    const int64_t first = panel * kFan, used = std::min<int64_t>(kFan, count - first);
    for (int lane = 0; lane < kFan; ++lane) {
      ids[first + lane] = static_cast<int32_t>(first + lane);
      const T* point = points + (first + lane) * dims;
      const T *shift = center.data(), nothing = std::numeric_limits<T>::quiet_NaN();
      if (lane < used) {
        for (int64_t d = 0; d < dims; ++d) to[d * kFan + lane] = point[d] - shift[d];
      } else {
        for (int64_t d = 0; d < dims; ++d) to[d * kFan + lane] = nothing;
      }
    }
    square_lanes(to, squares.data() + first);
    for (int64_t lane = 0; lane < used; ++lane) {
      farthest = std::max(farthest, std::sqrt(squares[first + lane]));
    }
  }

  // Sixteen sums at once, each in order of dimension.
  void square_lanes(const T* panel, T* square) const {
    using V = typename Vector<T>::Type;
    constexpr int kLanes = Vector<T>::lanes;
    for (int lane = 0; lane < kFan; lane += kLanes) {
      V sum{};
      for (int64_t d = 0; d < dims; ++d) {
        const V value = load<V>(panel + d * kFan + lane);
        sum = sum + value * value;
      }
      store(square + lane, sum);
    }
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

// |p|² - 2⟨q, p⟩ + |q|² of kBlock queries and the points of `Panels` panels, one behind the other.
template <int Panels>
inline void screen_panels(const float* const (&query)[kBlock], const float (&query_square)[kBlock],
                          const float* panel, const float* squares, int64_t dims,
                          float (*out)[kBlock][kFan]) {
  using V = Vector<float>::Type;
  for (int lane = 0; lane < kFan; lane += Vector<float>::lanes) {
    V product[Panels][kBlock] = {};
    for (int64_t d = 0; d < dims; ++d) {
      V point[Panels];
      for (int p = 0; p < Panels; ++p) point[p] = load<V>(panel + (p * dims + d) * kFan + lane);
      for (int q = 0; q < kBlock; ++q) {
        const V number = splat<V>(query[q][d]);
        for (int p = 0; p < Panels; ++p) product[p][q] = multiply_add(number, point[p], product[p][q]);
      }
    }
    for (int p = 0; p < Panels; ++p) {
      for (int q = 0; q < kBlock; ++q) {
        const V square = load<V>(squares + p * kFan + lane);
        const V distance = (square - 2.0f * product[p][q]) + query_square[q];
        // A NaN stays: the comparison is false for it.
        store(out[p][q] + lane, where(less(distance, V{}), V{}, distance));
      }
    }
  }
}

}  // namespace pcclust::inline PCCLUST_ISA
