// Farthest point sampling: exact, over the tree of tree.h.
//
// Every point knows its squared distance to the nearest chosen point, every leaf and node the
// largest of these below it. A newly chosen point can shorten distances only where a box is nearer
// to it than the largest distance inside; all other branches keep what they know. As the chosen
// points grow dense, a step touches a handful of leaves.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/arguments.h"
#include "core/buffer.h"
#include "core/parallel.h"
#include "core/peak.h"
#include "core/tree.h"
#include "core/tree_build.h"
#include "core/tree_search.h"

namespace pcclust::inline PCCLUST_ISA {

// Samples one cloud after another, keeping its memory.
template <class T>
class FarthestPoints {
 public:
  using V = typename Vector<T>::Type;
  static constexpr int kLanes = Vector<T>::lanes;

  // Writes the positions of `samples` points, beginning with `first`. Dimensions beyond the third
  // count in the distances, but boxes know only the first three.
  void sample(const T* points, int64_t count, int64_t dims, int64_t first, int64_t samples,
              int64_t* chosen, const Threads& threads) {
    points_ = points;
    dims_ = dims;
    build_tree(points, count, dims, tree_, items_, threads);
    start();
    int32_t next = static_cast<int32_t>(first);
    for (int64_t s = 0;; next = take(next).id) {
      chosen[s] = next;
      if (++s == samples) return;
    }
  }

 private:
  // No point is chosen yet: every one is infinitely far. Unused lanes are never the farthest.
  void start() {
    place_.resize(tree_.count);
    distance_.resize(tree_.leaves * kFan);
    more_.resize(tree_.leaves * kFan * std::max<int64_t>(dims_ - 3, 0));
    for (int64_t l = 0; l < tree_.leaves; ++l) start_leaf(l);
    while (static_cast<int>(peaks_.size()) < tree_.levels) peaks_.emplace_back();
    int64_t nodes = tree_.leaves;
    for (int level = 0; level < tree_.levels; ++level, nodes = (nodes + kFan - 1) / kFan) {
      const int64_t groups = (nodes + kFan - 1) / kFan;
      peaks_[level].resize(groups);
      for (int64_t g = 0; g < groups; ++g) {
        for (int lane = 0; lane < kFan; ++lane) {
          const int64_t node = g * kFan + lane;
          peaks_[level][g].value[lane] = node < nodes ? std::numeric_limits<T>::infinity() : T(-1);
          peaks_[level][g].id[lane] = node < nodes ? lowest_id(level, node) : INT32_MAX;
        }
      }
    }
  }

  // The first point of a node, which is its farthest as long as all distances are infinite: also
  // after a point was taken, where they overflow.
  int32_t lowest_id(int level, int64_t node) const {
    const int32_t* ids = level > 0 ? peaks_[level - 1][node].id : tree_.leaf[node].id;
    int32_t lowest = INT32_MAX;
    for (int lane = 0; lane < kFan; ++lane) {
      if (ids[lane] >= 0) lowest = std::min(lowest, ids[lane]);
    }
    return lowest;
  }

  void start_leaf(int64_t l) {
    const Leaf<T>& leaf = tree_.leaf[l];
    for (int lane = 0; lane < kFan; ++lane) {
      const int32_t id = leaf.id[lane];
      const int64_t place = l * kFan + lane;
      distance_[place] = id < 0 ? T(-1) : std::numeric_limits<T>::infinity();
      if (id >= 0) place_[id] = static_cast<int32_t>(place);
      for (int64_t axis = 3; axis < dims_; ++axis) {
        more_[(l * (dims_ - 3) + axis - 3) * kFan + lane] = id < 0 ? T(0) : points_[id * dims_ + axis];
      }
    }
  }

  // Chooses a point for good and returns the one that is now the farthest.
  Peak<T> take(int32_t id) {
    at_ = points_ + id * dims_;
    taken_ = place_[id];
    distance_[taken_] = T(-1);
    const Leaf<T>& leaf = tree_.leaf[taken_ / kFan];
    const T corner[3] = {leaf.coordinate[0][taken_ % kFan], leaf.coordinate[1][taken_ % kFan],
                         leaf.coordinate[2][taken_ % kFan]};
    return shorten(Position<T>(corner), tree_.levels - 1, 0, true);
  }

  // Shortens the distances below the 16 siblings of `group`; `holds` where the taken point is there.
  Peak<T> shorten(const Position<T>& from, int level, int64_t group, bool holds) {
    Peaks<T>& peaks = peaks_[level][group];
    alignas(64) T gap[kFan];
    Searcher<T>::box_distances(from, tree_.level[level][group], gap);
    const int home = holds ? (taken_ >> (4 * (level + 1))) % kFan : -1;
    uint32_t left = holds ? 1u << home : 0;  // also where all that is left is duplicates of it
    for (int lane = 0; lane < kFan; lane += kLanes) {
      left |= bits(load<V>(gap + lane) < load<V>(peaks.value + lane)) << lane;
    }
    for (; left; left &= left - 1) {
      const int lane = __builtin_ctz(left);
      const int64_t child = group * kFan + lane;
      const Peak<T> peak = level > 0 ? shorten(from, level - 1, child, lane == home)
                                     : shorten_leaf(from, child);
      peaks.value[lane] = peak.value;
      peaks.id[lane] = peak.id;
    }
    return peak_of(peaks.value, peaks.id);
  }

  Peak<T> shorten_leaf(const Position<T>& from, int64_t l) {
    const Leaf<T>& leaf = tree_.leaf[l];
    T* distances = distance_.data() + l * kFan;
    for (int lane = 0; lane < kFan; lane += kLanes) {
      V d[3];
      for (int axis = 0; axis < 3; ++axis) {
        d[axis] = load<V>(leaf.coordinate[axis] + lane) - from.coordinate[axis];
      }
      V total = squared_norm(d);
      for (int64_t axis = 3; axis < dims_; ++axis) {
        const T* column = more_.data() + (l * (dims_ - 3) + axis - 3) * kFan;
        const V more = load<V>(column + lane) - splat<V>(at_[axis]);
        total = total + more * more;
      }
      store(distances + lane, minimum(total, load<V>(distances + lane)));
    }
    return peak_of(distances, leaf.id);
  }

  Tree<T> tree_;
  Buffer<Item<T>> items_;
  const T* points_ = nullptr;
  int64_t dims_ = 0;
  Buffer<int32_t> place_;          // of each point: 16 · leaf + lane
  Buffer<T> distance_;             // of each place, to the nearest chosen point; -1 once chosen
  Buffer<T> more_;                 // (leaves, dims - 3, 16) coordinates beyond the third
  std::vector<Buffer<Peaks<T>>> peaks_;  // as the tree's boxes
  const T* at_ = nullptr;          // the point being taken
  int32_t taken_ = 0;              // and its place
};

template <class T>
void farthest_points(const FarthestPointArguments<T>& a, const Threads& threads) {
  // One cloud's steps follow from each other: threads share its tree's building, nothing else.
  const bool many = a.points.count >= threads.count && threads.count > 1;
  const Threads inside{many ? 1 : threads.count, threads.run};
  std::atomic<int64_t> next{0};
  const auto work = [&](int64_t) {
    FarthestPoints<T> sampler;
    for (int64_t cloud; (cloud = next.fetch_add(1)) < a.points.count;) {
      const int64_t start = a.points.starts[cloud];
      int64_t* chosen = a.indices + cloud * a.num_samples;
      sampler.sample(a.points.rows + start * a.points.dims, a.points.sizes[cloud], a.points.dims,
                     a.first[cloud], a.num_samples, chosen, inside);
      for (int64_t s = 0; a.packed && s < a.num_samples; ++s) chosen[s] += start;
    }
  };
  if (many) threads.run(threads.count, work);
  else work(0);
}

}  // namespace pcclust::inline PCCLUST_ISA
