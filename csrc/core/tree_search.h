// Searches the tree of tree.h for the nearest points of queries that come in spatial order.
//
// A query starts at its own leaf and climbs: at every level it looks at the siblings of where it
// came from, so that the nearest points are seen first. The bound of the previous query, widened by
// the distance between the two, holds for this one (triangle inequality) and prunes from the start.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

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
};

// ((dx·dx) + (dy·dy)) + (dz·dz), every operation rounded: the same bits on every tier.
template <class V>
PCCLUST_INLINE V squared_norm(const V (&d)[3]) {
  return (d[0] * d[0] + d[1] * d[1]) + d[2] * d[2];
}

template <class T>
class Searcher {
 public:
  using V = typename Vector<T>::Type;
  static constexpr int kLanes = Vector<T>::lanes;

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

  // No point inside a box is nearer than this, rounding included: differences, squares and sums
  // round monotonically.
  static PCCLUST_INLINE void box_distances(const Position<T>& query, const Boxes<T>& boxes,
                                           T* distance) {
    for (int lane = 0; lane < kFan; lane += kLanes) {
      V gap[3];
      for (int axis = 0; axis < 3; ++axis) {
        const V below = load<V>(boxes.low[axis] + lane) - query.coordinate[axis];
        const V above = query.coordinate[axis] - load<V>(boxes.high[axis] + lane);
        gap[axis] = maximum(maximum(below, above), V{});
      }
      store(distance + lane, squared_norm(gap));
    }
  }

 private:
  // The boxes that may hold a better candidate: nearer than the threshold, or as near with a lower
  // id. The second half keeps a million equal points from being looked at one and all.
  template <class List>
  static PCCLUST_INLINE uint32_t promising(const T* distance, const Boxes<T>& boxes,
                                           const List& list) {
    uint32_t result = 0;
    for (int lane = 0; lane < kFan; lane += kLanes) {
      const V d = load<V>(distance + lane);
      const V threshold = splat<V>(list.threshold());
      uint32_t near = bits(d <= threshold);
      uint32_t tied = bits(d == threshold);
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
    auto& waiting = list.waiting();
    const V threshold = splat<V>(list.threshold());
    for (int lane = 0; lane < kFan; lane += kLanes) {
      V d[3];
      for (int axis = 0; axis < 3; ++axis) {
        d[axis] = query.coordinate[axis] - load<V>(leaf.coordinate[axis] + lane);
      }
      const V distance = squared_norm(d);
      uint32_t near = bits(distance <= threshold);
      if (!near) continue;
      if constexpr (kLanes == 16) {
        const I32x16 id = load<I32x16>(leaf.id);
        near &= ~bits(id == excluded);
        append(waiting.id + waiting.count, id, near);
        waiting.count += append(waiting.distance + waiting.count, distance, near);
      } else {
        for (; near; near &= near - 1) {
          const int bit = __builtin_ctz(near);
          waiting.distance[waiting.count] = distance[bit];
          waiting.id[waiting.count] = leaf.id[lane + bit];
          waiting.count += leaf.id[lane + bit] != excluded;
        }
      }
    }
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
