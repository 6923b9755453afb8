// Neighbours in more than three dimensions: every query against every point, sixteen points at a
// time; those nearest are chosen from a thousand at a time, so that no matrix of distances exists.
//
// Up to eight dimensions, and in double, distances are summed in order of dimension: the same bits
// on every backend. Floats of more dimensions are screened by |p|² - 2⟨q, p⟩ + |q|², a matrix product in
// registers; the distances of what passes are summed exactly, and where the product's rounding could
// have hidden a neighbour, all of them are.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "core/arguments.h"
#include "core/buffer.h"
#include "core/panels.h"
#include "core/parallel.h"
#include "core/row_distance.h"
#include "core/row_writer.h"
#include "core/top_k.h"
#include "core/tree.h"
#include "core/tree_search.h"

namespace pcclust::inline PCCLUST_ISA {

constexpr int64_t kChunk = 64;  // panels whose distances are held before any is chosen

// The queries of one cloud against its panels, a group at a time.
template <class T, class List>
class PanelSearch {
 public:
  PanelSearch(const SearchArguments<T>& a, int64_t cloud, const Panels<T>& panels)
      : a_(a),
        panels_(panels),
        screened_(is_screened<T>(a.points.dims)),
        points_(a.points.rows + a.points.starts[cloud] * a.points.dims),
        queries_(a.queries.rows + a.queries.starts[cloud] * a.points.dims),
        write_(a, cloud),
        k_(std::min(a.k, panels.count)),
        wanted_(std::min(k_ + (screened_ ? kSpare : 0), panels.count)),
        exact_(k_) {
    lists_.reserve(kGroup);
    for (int q = 0; q < kGroup; ++q) lists_.emplace_back(wanted_);
    shifted_.resize(kGroup * a.points.dims);
    distances_.resize(kGroup * std::min(kChunk, panels.panels) * kFan);
  }

  // Searches the queries [begin, end), at most kGroup of them.
  void search(int64_t begin, int64_t end) {
    const int count = static_cast<int>(end - begin);
    prepare(begin, count);
    for (int64_t first = 0; first < panels_.panels; first += kChunk) {
      const int64_t width = std::min(kChunk, panels_.panels - first);
      for (int64_t panel = 0; panel < width; panel += kAbreast) {
        const int abreast = static_cast<int>(std::min<int64_t>(kAbreast, width - panel));
        for (int q = 0; q < count; q += kBlock) visit(first + panel, panel, abreast, begin, q, count);
      }
      for (int q = 0; q < count; ++q) choose(first, width, q);
    }
    for (int q = 0; q < count; ++q) {
      lists_[q].work_in();
      finish(lists_[q]);
      if (screened_) {
        settle(begin + q, lists_[q], error_[q]);
      } else {
        write_(begin + q, lists_[q]);
      }
    }
  }

 private:
  void prepare(int64_t begin, int count) {
    const int64_t dims = a_.points.dims;
    for (int q = 0; q < count; ++q) {
      const T* query = queries_ + (begin + q) * dims;
      T* shifted = shifted_.data() + q * dims;
      for (int64_t d = 0; d < dims; ++d) shifted[d] = query[d] - panels_.center[d];
      square_[q] = a_.self ? panels_.squares[begin + q] : squared(shifted);
      const T reach = std::sqrt(square_[q]) + panels_.farthest;
      error_[q] = T(dims + 16) * std::numeric_limits<T>::epsilon() * reach * reach;
      lists_[q].start(screened_ ? a_.limit + error_[q] : a_.limit);
    }
  }

  // As the points' squares are summed.
  T squared(const T* shifted) const {
    T square = 0;
    for (int64_t d = 0; d < a_.points.dims; ++d) square += shifted[d] * shifted[d];
    return square;
  }

  // Measures queries from `first` on against panels, of which the first has place `place` in its
  // chunk.
  void visit(int64_t panel, int64_t place, int abreast, int64_t begin, int first, int count) {
    const int64_t dims = a_.points.dims;
    const T* query[kBlock];
    T square[kBlock];
    for (int q = 0; q < kBlock; ++q) {
      const int at = std::min(first + q, count - 1);
      query[q] = shifted_.data() + at * dims;
      square[q] = square_[at];
    }
    alignas(64) T distance[kAbreast][kBlock][kFan];
    measure(query, square, panel, abreast, distance);
    for (int q = 0; q < kBlock && first + q < count; ++q) {
      const int64_t own = begin + first + q;
      for (int p = 0; p < abreast; ++p) {
        if (a_.exclude_self && own / kFan == panel + p) {
          distance[p][q][own % kFan] = std::numeric_limits<T>::quiet_NaN();
        }
        std::copy_n(distance[p][q], kFan, distances_of(first + q) + (place + p) * kFan);
      }
    }
  }

  T* distances_of(int query) {
    return distances_.data() + query * std::min(kChunk, panels_.panels) * kFan;
  }

  // Takes the nearest of a chunk of `width` panels into the list of a query.
  void choose(int64_t first, int64_t width, int query) {
    List& list = lists_[query];
    const T* distances = distances_of(query);
    const int32_t* ids = panels_.ids.data() + first * kFan;
    if (first == 0) {
      const T limit = std::min(list.threshold(), enough(distances, width));
      list.start(limit);
      if constexpr (requires { list.rank(found_); }) {
        if (width == panels_.panels && gather(distances, ids, width, limit)) return list.rank(found_);
      }
    }
    for (int64_t panel = 0; panel < width; ++panel) {
      append_near(distances + panel * kFan, ids + panel * kFan, list.threshold(), list.waiting());
      if (list.waiting().count >= Waiting<T>::full) list.work_in();
    }
  }

  // A distance within which as many points lie as are wanted, and few more; inf where none is seen.
  // The points are dealt into kHands hands: of as many hands as points are wanted, each has one there.
  T enough(const T* distances, int64_t width) const {
    using V = typename Vector<T>::Type;
    constexpr int kHands = 4 * kFan;
    alignas(64) T nearest[kHands];
    std::fill_n(nearest, kHands, std::numeric_limits<T>::infinity());
    for (int64_t panel = 0; panel < width; ++panel) {
      const T* from = distances + panel * kFan;
      T* to = nearest + panel % 4 * kFan;
      for (int lane = 0; lane < kFan; lane += Vector<T>::lanes) {
        store(to + lane, minimum(load<V>(from + lane), load<V>(to + lane)));  // NaN is none
      }
    }
    T low = 0, high = *std::max_element(nearest, nearest + kHands);
    if (wanted_ > kHands || !(high < std::numeric_limits<T>::infinity())) {
      return std::numeric_limits<T>::infinity();
    }
    for (int halving = 0; halving < 8; ++halving) {
      const T middle = low + (high - low) / 2;
      int64_t within = 0;
      for (int at = 0; at < kHands; at += kFan) within += std::popcount(lanes_within(nearest + at, middle));
      (within >= wanted_ ? high : low) = middle;
    }
    return high;
  }

  // Finds the points within `limit`; returns false where they are too many to be ranked at once.
  bool gather(const T* distances, const int32_t* ids, int64_t width, T limit) {
    int count = 0;
    for (int64_t at = 0; at < width * kFan; at += kFan) {
      const uint32_t within = lanes_within(distances + at, limit);
      append(found_.distance + count, distances + at, within);
      append(found_.id + count, ids + at, within);
      count += std::popcount(within);
      if (count > Found::most) return false;
    }
    found_.count = count;
    return true;
  }

  void measure(const T* const (&query)[kBlock], const T (&square)[kBlock], int64_t panel, int abreast,
               T (&distance)[kAbreast][kBlock][kFan]) const {
    const int64_t dims = a_.points.dims;
    const T* values = panels_.values.data() + panel * dims * kFan;
    if constexpr (std::is_same_v<T, float>) {
      if (screened_) {
        const T* squares = panels_.squares.data() + panel * kFan;
        if (abreast == kAbreast) {
          return screen_panels<kAbreast>(query, square, values, squares, dims, distance);
        }
        for (int p = 0; p < abreast; ++p) {
          const T* own = values + p * dims * kFan;
          screen_panels<1>(query, square, own, squares + p * kFan, dims, distance + p);
        }
        return;
      }
    }
    for (int p = 0; p < abreast; ++p) measure_panel(query, values + p * dims * kFan, dims, distance[p]);
  }

  // Ranks the screened candidates by their exact distances.
  void settle(int64_t query, const List& screened, T error) {
    exact_.start(a_.limit);
    for (int64_t i = 0; i < k_ + kSpare && screened.id(i) >= 0; ++i) {
      // Once k are known, those that were screened as too far away need no look.
      if (i == k_) exact_.work_in();
      if (i >= k_ && exact_.full() && screened.distance(i) - error > exact_.threshold()) break;
      offer(query, screened.id(i));
    }
    exact_.work_in();
    // Whatever was screened out is at least this far.
    const T others = screened.threshold() - error;
    const bool complete = !screened.full() && std::isfinite(error);
    const T last = exact_.full() ? exact_.threshold() : a_.limit;
    if (!complete && !(last < others)) offer_all(query);
    finish(exact_);
    write_(query, exact_);
  }

  void offer_all(int64_t query) {
    exact_.start(a_.limit);
    for (int64_t id = 0; id < panels_.count; ++id) {
      if (!(a_.exclude_self && id == query)) offer(query, id);
    }
    exact_.work_in();
  }

  void offer(int64_t query, int64_t id) {
    const int64_t dims = a_.points.dims;
    const T distance = squared_distance(queries_ + query * dims, points_ + id * dims, dims);
    if (!(distance <= exact_.threshold())) return;
    auto& waiting = exact_.waiting();
    waiting.candidate[waiting.count++] = make_candidate(distance, static_cast<int32_t>(id));
    if (waiting.count >= Waiting<T>::full) exact_.work_in();
  }

  const SearchArguments<T>& a_;
  const Panels<T>& panels_;
  const bool screened_;
  const T *points_, *queries_;
  const RowWriter<T> write_;
  const int64_t k_, wanted_;  // how many are returned of this cloud, and how many a list holds
  std::vector<List> lists_;
  List exact_;
  Buffer<T> shifted_, distances_;
  Found found_;
  T square_[kGroup], error_[kGroup];
};

template <class T>
void search_panels(const SearchArguments<T>& a, int64_t cloud, const Panels<T>& panels,
                   int64_t begin, int64_t end, const Threads& threads) {
  const int64_t k = std::min(a.k, panels.count);
  with_list<T>(k + (is_screened<T>(a.points.dims) ? kSpare : 0), [&](auto& list) {
    PanelSearch<T, std::remove_reference_t<decltype(list)>> search(a, cloud, panels);
    for (int64_t q = begin; q < end; q += kGroup) {
      threads.check();
      search.search(q, std::min<int64_t>(end, q + kGroup));
    }
  });
}

// Searches every cloud of more than kTreeDims dimensions.
template <class T>
void search_by_panels(const SearchArguments<T>& a, const Threads& threads) {
  const Shares shares = share_clouds(threads, a.points.count, 2 * threads.count);
  for_each_task_with(
      shares.across, a.points.count, [] { return Panels<T>(); },
      [&](int64_t cloud, Panels<T>& panels) {
        if (a.points.sizes[cloud] == 0) return;
        panels.pack(a.points.rows + a.points.starts[cloud] * a.points.dims, a.points.sizes[cloud],
                    a.points.dims);
        const int64_t queries = a.queries.sizes[cloud];
        const int64_t run = shares.inside.count > 1 ? 4 * kGroup : std::max<int64_t>(queries, 1);
        for_each_task(shares.inside, (queries + run - 1) / run, [&](int64_t task) {
          const int64_t end = std::min(queries, (task + 1) * run);
          search_panels(a, cloud, panels, task * run, end, shares.inside);
        });
      });
}

}  // namespace pcclust::inline PCCLUST_ISA
