// Neighbours in more than three dimensions: every query against every point, sixteen points at a
// time, the selection fused with the arithmetic so that no matrix of distances exists.
//
// Up to eight dimensions, and in double, distances are summed in order of dimension: the same bits
// on every tier. Floats of more dimensions are screened by |p|² - 2⟨q, p⟩ + |q|², a matrix product in
// registers; the distances of what passes are summed exactly, and where the product's rounding could
// have hidden a neighbour, all of them are.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "core/arguments.h"
#include "core/buffer.h"
#include "core/parallel.h"
#include "core/top_k.h"
#include "core/tree.h"
#include "core/tree_search.h"

namespace pcclust::inline PCCLUST_ISA {

constexpr int64_t kExactDims = 8;
constexpr int kBlock = 8;        // queries that share a panel's registers
constexpr int kGroup = 4 * kBlock;  // queries that share a panel in the cache
constexpr int64_t kSpare = 8;    // screened candidates beyond k

// The points of one cloud, sixteen side by side: values[panel][dimension][lane].
template <class T>
struct Panels {
  int64_t count = 0, dims = 0, panels = 0;
  Buffer<T> values, squares;  // squares: |p|², where points are screened
  Buffer<T> center;
  Buffer<int32_t> ids;
  T farthest = 0;  // the largest |p|

  // Points are shifted by `center` (null for none); unused lanes are NaN, nobody's neighbour.
  void pack(const T* points, int64_t points_count, int64_t dimensions, bool screened) {
    count = points_count;
    dims = dimensions;
    panels = (count + kFan - 1) / kFan;
    values.resize(panels * kFan * dims);
    squares.resize(panels * kFan);
    ids.resize(panels * kFan);
    center.resize(dims);
    std::fill_n(center.data(), dims, T(0));
    if (screened) find_center(points);
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

// The distance of two points; lanes are summed in one order on every instruction set.
inline float exact_distance(const float* a, const float* b, int64_t dims) {
  F32x16 sum{};
  int64_t d = 0;
  for (; d + 16 <= dims; d += 16) {
    const F32x16 difference = load<F32x16>(a + d) - load<F32x16>(b + d);
    sum = sum + difference * difference;
  }
  float total = 0;
  for (; d < dims; ++d) total += (a[d] - b[d]) * (a[d] - b[d]);
  for (int lane = 0; lane < 16; ++lane) total += sum[lane];
  return total;
}

// The queries of one cloud against its panels, a group at a time.
template <class T, class List>
class PanelSearch {
 public:
  PanelSearch(const SearchArguments<T>& a, int64_t cloud, const Panels<T>& panels)
      : a_(a),
        panels_(panels),
        screened_(std::is_same_v<T, float> && a.points.dims > kExactDims),
        points_(a.points.rows + a.points.starts[cloud] * a.points.dims),
        queries_(a.queries.rows + a.queries.starts[cloud] * a.points.dims),
        first_row_(a.queries.starts[cloud]),
        first_index_(a.packed ? a.points.starts[cloud] : 0),
        exact_(a.k) {
    const int64_t wanted = std::min(a.k + (screened_ ? kSpare : 0), std::max(panels.count, a.k));
    lists_.reserve(kGroup);
    for (int q = 0; q < kGroup; ++q) lists_.emplace_back(wanted);
    shifted_.resize(kGroup * a.points.dims);
  }

  // Searches the queries [begin, end), at most kGroup of them.
  void search(int64_t begin, int64_t end) {
    const int count = static_cast<int>(end - begin);
    prepare(begin, count);
    for (int64_t panel = 0; panel < panels_.panels; ++panel) {
      for (int first = 0; first < count; first += kBlock) visit(panel, begin, first, count);
    }
    for (int q = 0; q < count; ++q) {
      lists_[q].work_in();
      finish(lists_[q]);
      if (screened_) {
        settle(begin + q, lists_[q], error_[q]);
      } else {
        write(begin + q, lists_[q]);
      }
    }
  }

 private:
  void prepare(int64_t begin, int count) {
    const int64_t dims = a_.points.dims;
    for (int q = 0; q < count; ++q) {
      T square = 0;
      for (int64_t d = 0; d < dims; ++d) {
        const T value = queries_[(begin + q) * dims + d] - panels_.center[d];
        shifted_[q * dims + d] = value;
        square += value * value;
      }
      square_[q] = square;
      const T reach = std::sqrt(square) + panels_.farthest;
      error_[q] = T(dims + 16) * std::numeric_limits<T>::epsilon() * reach * reach;
      lists_[q].start(screened_ ? a_.limit + error_[q] : a_.limit);
    }
  }

  void visit(int64_t panel, int64_t begin, int first, int count) {
    const int64_t dims = a_.points.dims;
    const T* values = panels_.values.data() + panel * dims * kFan;
    const T* query[kBlock];
    T square[kBlock];
    for (int q = 0; q < kBlock; ++q) {
      const int at = std::min(first + q, count - 1);
      query[q] = shifted_.data() + at * dims;
      square[q] = square_[at];
    }
    alignas(64) T distance[kBlock][kFan];
    if constexpr (std::is_same_v<T, float>) {
      if (screened_) {
        screen_panel(query, square, values, panels_.squares.data() + panel * kFan, dims, distance);
      } else {
        measure_panel(query, values, dims, distance);
      }
    } else {
      measure_panel(query, values, dims, distance);
    }
    const int32_t* ids = panels_.ids.data() + panel * kFan;
    for (int q = 0; q < kBlock && first + q < count; ++q) {
      List& list = lists_[first + q];
      if (a_.exclude_self && (begin + first + q) / kFan == panel) {
        distance[q][(begin + first + q) % kFan] = std::numeric_limits<T>::quiet_NaN();
      }
      append_near(distance[q], ids, list.threshold(), list.waiting());
      if (list.waiting().count >= Waiting<T>::full) list.work_in();
    }
  }

  // Ranks the screened candidates by their exact distances.
  void settle(int64_t query, const List& screened, T error) {
    exact_.start(a_.limit);
    auto& waiting = exact_.waiting();
    const auto offer = [&](int64_t id) {
      const T distance = distance_to(query, id);
      if (!(distance <= exact_.threshold())) return;
      waiting.candidate[waiting.count++] = make_candidate(distance, static_cast<int32_t>(id));
      if (waiting.count >= Waiting<T>::full) exact_.work_in();
    };
    for (int64_t i = 0; i < a_.k + kSpare && screened.id(i) >= 0; ++i) offer(screened.id(i));
    exact_.work_in();
    // Whatever was screened out is at least this far.
    const T others = screened.threshold() - error;
    const bool complete = !screened.full() && std::isfinite(error);
    const T last = exact_.full() ? exact_.threshold() : a_.limit;
    if (!complete && !(last < others)) {
      exact_.start(a_.limit);
      for (int64_t id = 0; id < panels_.count; ++id) {
        if (!(a_.exclude_self && id == query)) offer(id);
      }
      exact_.work_in();
    }
    finish(exact_);
    write(query, exact_);
  }

  T distance_to(int64_t query, int64_t id) const {
    const int64_t dims = a_.points.dims;
    if constexpr (std::is_same_v<T, float>) {
      return exact_distance(queries_ + query * dims, points_ + id * dims, dims);
    } else {
      return 0;  // doubles are never screened
    }
  }

  template <class Found>
  void write(int64_t query, const Found& found) const {
    const int64_t row = first_row_ + query;
    int64_t count = 0;
    for (int64_t i = 0; i < a_.k; ++i) {
      const int64_t id = found.id(i);
      a_.distances[row * a_.k + i] = found.distance(i);
      a_.indices[row * a_.k + i] = id < 0 ? -1 : id + first_index_;
      count += id >= 0;
    }
    if (a_.counts) a_.counts[row] = count;
  }

  const SearchArguments<T>& a_;
  const Panels<T>& panels_;
  const bool screened_;
  const T *points_, *queries_;
  const int64_t first_row_, first_index_;
  std::vector<List> lists_;
  BufferList<T> exact_;
  Buffer<T> shifted_;
  T square_[kGroup], error_[kGroup];
};

template <class T>
void search_panels(const SearchArguments<T>& a, int64_t cloud, const Panels<T>& panels,
                   int64_t begin, int64_t end) {
  const bool screened = std::is_same_v<T, float> && a.points.dims > kExactDims;
  with_list<T>(a.k + (screened ? kSpare : 0), [&](auto& list) {
    PanelSearch<T, std::remove_reference_t<decltype(list)>> search(a, cloud, panels);
    for (int64_t q = begin; q < end; q += kGroup) search.search(q, std::min<int64_t>(end, q + kGroup));
  });
}

// Searches every cloud of more than kTreeDims dimensions.
template <class T>
void search_by_panels(const SearchArguments<T>& a, const Threads& threads) {
  const bool screened = std::is_same_v<T, float> && a.points.dims > kExactDims;
  const auto pack = [&](int64_t cloud, Panels<T>& panels) {
    panels.pack(a.points.rows + a.points.starts[cloud] * a.points.dims, a.points.sizes[cloud],
                a.points.dims, screened);
  };
  if (threads.count > 1 && a.points.count >= 2 * threads.count) {
    for_each_task(threads, a.points.count, [&](int64_t cloud) {
      Panels<T> panels;
      pack(cloud, panels);
      search_panels(a, cloud, panels, 0, a.queries.sizes[cloud]);
    });
    return;
  }
  Panels<T> panels;
  for (int64_t cloud = 0; cloud < a.points.count; ++cloud) {
    pack(cloud, panels);
    const int64_t queries = a.queries.sizes[cloud], run = 4 * kGroup;
    for_each_task(threads, (queries + run - 1) / run, [&](int64_t task) {
      search_panels(a, cloud, panels, task * run, std::min(queries, (task + 1) * run));
    });
  }
}

}  // namespace pcclust::inline PCCLUST_ISA
