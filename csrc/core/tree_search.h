// Searches the tree of tree.h for the nearest points of queries that come in spatial order.
//
// A query starts at its own leaf and climbs: at every level it looks at the siblings of where it
// came from, so that the nearest points are seen first. The bound of the previous query, widened by
// the distance between the two, holds for this one (triangle inequality) and prunes from the start.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "core/neighborhood.h"
#include "core/simd.h"
#include "core/top_k.h"
#include "core/tree.h"

namespace pcclust::inline PCCLUST_ISA {

// A query's coordinates in every lane.
template <class T>
struct Position {
  using V = typename Vector<T>::Type;
  V coordinate[3];

  explicit Position(const T* at) {
    for (int axis = 0; axis < 3; ++axis) coordinate[axis] = splat<V>(at[axis]);
  }
  V low(int axis) const { return coordinate[axis]; }
  V high(int axis) const { return coordinate[axis]; }
};

// ((dx·dx) + (dy·dy)) + (dz·dz), every operation rounded: the same bits on every backend.
template <class V>
PCCLUST_INLINE V squared_norm(const V (&d)[3]) {
  return (d[0] * d[0] + d[1] * d[1]) + d[2] * d[2];
}

template <class T>
class Searcher {
 public:
  using V = typename Vector<T>::Type;
  using Ids = typename Vector<T>::Positions;
  static constexpr int kLanes = Vector<T>::lanes;

  // A box in every lane.
  struct Span {
    Position<T> lower, upper;
    V low(int axis) const { return lower.coordinate[axis]; }
    V high(int axis) const { return upper.coordinate[axis]; }
  };

  explicit Searcher(const Tree<T>& tree) : tree_(tree) {}

  // Collects in `list`, which was started, the neighbours of the query at `at`.
  template <class List>
  void search(const T* at, int64_t start_leaf, int32_t excluded, List& list) const {
    const Position<T> query(at);
    scan_leaf(query, tree_.leaf[start_leaf], excluded, list);
    list.work_in();
    int64_t node = start_leaf;
    for (int level = 0; level < tree_.levels; ++level) {
      scan_group(query, level, node / kFan, 1u << (node % kFan), excluded, list);
      list.work_in();
      node /= kFan;
    }
    finish(list);
  }

  // Returns the leaf that a descent to the nearest box ends in.
  int64_t nearest_leaf(const T* at) const {
    const Position<T> query(at);
    int64_t group = 0;
    for (int level = tree_.levels - 1;; --level) {
      alignas(64) T distance[kFan];
      box_distances(query, tree_.level[level][group], distance);
      int best = 0;
      for (int lane = 1; lane < kFan; ++lane) best = distance[lane] < distance[best] ? lane : best;
      group = group * kFan + best;
      if (level == 0) return group;
    }
  }

  // Copies the boxes of the leaves within squared distance `reach` of a box to `near`; returns
  // false where they are too many.
  bool collect(const T (&low)[3], const T (&high)[3], T reach, Neighborhood<T>& near) const {
    near.count = 0;
    near.reach = reach;
    if (!(reach < std::numeric_limits<T>::infinity())) return false;
    const Span span{Position<T>(low), Position<T>(high)};
    if (!collect_group(span, tree_.levels - 1, 0, near)) return false;
    for (int lane = near.count; lane % kFan; ++lane) near.clear(lane);
    return true;
  }

  // As search(), for a query of the leaf that `near` surrounds; returns false, with the list as it
  // was, where its neighbours may lie elsewhere. `guess` is where the k-th distance is expected: a
  // good one saves leaves, no one is wrong.
  template <class List>
  bool search_near(const T* at, Neighborhood<T>& near, int32_t excluded, int64_t k, T guess,
                   List& list) const {
    const Position<T> query(at);
    T limit = std::min(guess, near.reach);
    const int64_t count = enclose(query, excluded, k, limit, near);
    if (count < k && near.reach < list.threshold()) return false;
    limit = narrow(near, count, k, limit);
    if constexpr (requires { list.rank(near.found); }) {
      if (gather(limit, near)) {
        list.rank(near.found);
        return true;
      }
    }
    auto& waiting = list.waiting();
    for (int l = 0; l < near.leaves; ++l) {
      append_near(near.distance + l * kFan, tree_.leaf[near.measured[l]].id, limit, waiting);
      if (waiting.count >= Waiting<T>::full) list.work_in();
    }
    list.work_in();
    finish(list);
    return true;
  }

  // No point inside a box is nearer than this, rounding included: differences, squares and sums
  // round monotonically.
  template <class Query>  // a position or the span of several
  static PCCLUST_INLINE void box_distances(const Query& query, const Boxes<T>& boxes, T* distance) {
    for (int lane = 0; lane < kFan; lane += kLanes) {
      V gap[3];
      for (int axis = 0; axis < 3; ++axis) {
        const V below = load<V>(boxes.low[axis] + lane) - query.high(axis);
        const V above = query.low(axis) - load<V>(boxes.high[axis] + lane);
        gap[axis] = maximum(maximum(below, above), V{});
      }
      store(distance + lane, squared_norm(gap));
    }
  }

  // The excluded point gets a NaN, which is within no limit.
  static PCCLUST_INLINE void measure_leaf(const Position<T>& query, const Leaf<T>& leaf,
                                          int32_t excluded, T* distance) {
    for (int lane = 0; lane < kFan; lane += kLanes) {
      V d[3];
      for (int axis = 0; axis < 3; ++axis) {
        d[axis] = query.coordinate[axis] - load<V>(leaf.coordinate[axis] + lane);
      }
      const auto id = __builtin_convertvector(load<Ids>(leaf.id + lane), typename Vector<T>::Mask);
      const V nothing = splat<V>(std::numeric_limits<T>::quiet_NaN());
      const auto own = equal(id, splat<typename Vector<T>::Mask>(excluded));
      store(distance + lane, where(own, nothing, squared_norm(d)));
    }
  }

 private:
  // Measures the leaves within `limit`, which is widened until k points lie within it, as far as
  // `near` reaches; returns how many do.
  int64_t enclose(const Position<T>& query, int32_t excluded, int64_t k, T& limit,
                  Neighborhood<T>& near) const {
    for (int part = 0; part * kFan < near.count; ++part) {
      box_distances(query, near.boxes[part], near.gap + part * kFan);
    }
    near.leaves = 0;
    int64_t count = measure(query, excluded, T(-1), limit, near);
    while (count < k && limit < near.reach) {
      const T share = T(1.25) * static_cast<T>(k) / static_cast<T>(std::max<int64_t>(count, 1));
      const T wider = limit * share > limit ? std::min(limit * share, near.reach) : near.reach;
      count = count_within(near, wider) + measure(query, excluded, limit, wider, near);
      limit = wider;
    }
    return count;
  }

  // Measures the leaves whose boxes are farther than `beyond` and not farther than `limit`; returns
  // how many of their points are within that.
  int64_t measure(const Position<T>& query, int32_t excluded, T beyond, T limit,
                  Neighborhood<T>& near) const {
    const int first = near.leaves;
    for (int part = 0; part * kFan < near.count; ++part) {
      const T* gap = near.gap + part * kFan;
      const uint32_t chosen = lanes_within(gap, limit) & ~lanes_within(gap, beyond);
      append(near.measured + near.leaves, near.leaf + part * kFan, chosen);
      near.leaves += __builtin_popcount(chosen);
    }
    int64_t count = 0;
    for (int l = first; l < near.leaves; ++l) {
      T* distance = near.distance + l * kFan;
      measure_leaf(query, tree_.leaf[near.measured[l]], excluded, distance);
      count += __builtin_popcount(lanes_within(distance, limit));
    }
    return count;
  }

  // Finds the points within `limit`; returns false where they are too many to be ranked at once.
  bool gather(T limit, Neighborhood<T>& near) const {
    int count = 0;
    for (int l = 0; l < near.leaves; ++l) {
      const T* distance = near.distance + l * kFan;
      const uint32_t within = lanes_within(distance, limit);
      append(near.found.distance + count, distance, within);
      append(near.found.id + count, tree_.leaf[near.measured[l]].id, within);
      count += __builtin_popcount(within);
      if (count > Found::most) return false;
    }
    near.found.count = count;
    return true;
  }

  // Lowers `limit` while at least k measured distances stay within it, so that few candidates have
  // to be sorted. Points near a surface grow in number with the squared distance, which makes the
  // guess a good one; a wrong guess costs time only.
  static T narrow(const Neighborhood<T>& near, int64_t count, int64_t k, T limit) {
    const int64_t enough = (k + k / 8 + 4 + kFan - 1) / kFan * kFan;
    T low = 0;
    for (int guess = 0; guess < 4 && count > enough; ++guess) {
      const T share = (static_cast<T>(k) + static_cast<T>(enough)) / (2 * static_cast<T>(count));
      T middle = low + (limit - low) * share;
      if (guess > 0 && low > 0) middle = (low + limit) / 2;
      if (!(middle > low && middle < limit)) break;
      const int64_t within = count_within(near, middle);
      if (within >= k) {
        limit = middle;
        count = within;
      } else {
        low = middle;
      }
    }
    return limit;
  }

  static PCCLUST_INLINE int64_t count_within(const Neighborhood<T>& near, T limit) {
    int64_t count = 0;
    for (int l = 0; l < near.leaves; ++l) {
      count += __builtin_popcount(lanes_within(near.distance + l * kFan, limit));
    }
    return count;
  }

  bool collect_group(const Span& span, int level, int64_t group, Neighborhood<T>& near) const {
    const Boxes<T>& boxes = tree_.level[level][group];
    alignas(64) T distance[kFan];
    box_distances(span, boxes, distance);
    for (uint32_t left = lanes_within(distance, near.reach); left; left &= left - 1) {
      const int lane = __builtin_ctz(left);
      const int64_t child = group * kFan + lane;
      if (level > 0) {
        if (!collect_group(span, level - 1, child, near)) return false;
      } else {
        if (near.count == Neighborhood<T>::room) return false;
        near.add(boxes, lane, child);
      }
    }
    return true;
  }

  // The boxes that may hold a better candidate: nearer than the threshold, or as near with a lower
  // id. The second half keeps a million equal points from being looked at one and all.
  template <class List>
  static PCCLUST_INLINE uint32_t promising(const T* distance, const Boxes<T>& boxes,
                                           const List& list) {
    uint32_t result = 0;
    for (int lane = 0; lane < kFan; lane += kLanes) {
      const V d = load<V>(distance + lane);
      const V threshold = splat<V>(list.threshold());
      uint32_t near = lanes_at_most(d, threshold);
      uint32_t tied = lanes_equal(d, threshold);
      while (tied) {
        const int bit = __builtin_ctz(tied);
        if (boxes.first[lane + bit] >= list.last_id()) near &= ~(1u << bit);
        tied &= tied - 1;
      }
      result |= near << lane;
    }
    return result;
  }

  template <class List>
  void scan_group(const Position<T>& query, int level, int64_t group, uint32_t skip,
                  int32_t excluded, List& list) const {
    const Boxes<T>& boxes = tree_.level[level][group];
    alignas(64) T distance[kFan];
    box_distances(query, boxes, distance);
    for (uint32_t left = promising(distance, boxes, list) & ~skip; left; left &= left - 1) {
      const int lane = __builtin_ctz(left);
      if (distance[lane] > list.threshold()) continue;
      const int64_t child = group * kFan + lane;
      if (level > 0) {
        if (distance[lane] == list.threshold() && boxes.first[lane] >= list.last_id()) continue;
        scan_group(query, level - 1, child, 0, excluded, list);
      } else {
        scan_leaf(query, tree_.leaf[child], excluded, list);
        if (list.waiting().count >= Waiting<T>::full / 2) list.work_in();
      }
    }
  }

  template <class List>
  static PCCLUST_INLINE void scan_leaf(const Position<T>& query, const Leaf<T>& leaf,
                                       int32_t excluded, List& list) {
    alignas(64) T distance[kFan];
    measure_leaf(query, leaf, excluded, distance);
    append_near(distance, leaf.id, list.threshold(), list.waiting());
  }

  const Tree<T>& tree_;
};

// The bound that a query's k-th distance gives to the next query, `step` away (both squared).
// Widened by rounding, and by an absolute term where squares may have underflowed.
template <class T>
PCCLUST_INLINE T inherited_bound(T kth, T step) {
  const T reach = std::sqrt(kth) + std::sqrt(step);
  return reach * reach * T(1.00001) + 16 * std::numeric_limits<T>::min();
}

}  // namespace pcclust::inline PCCLUST_ISA
