// The clusters of Ward's method that are not merged yet, in the tree of tree.h.
//
// Merging clusters a and b costs |a||b| / (|a| + |b|) times the squared distance of their centroids.
// Every cluster is one lane of the tree; the merged one stays in the lane of the heavier. Boxes only
// ever grow, until half the lanes are empty and the rest move together.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/buffer.h"
#include "core/parallel.h"
#include "core/placed_tree.h"
#include "core/tree.h"
#include "core/tree_build.h"
#include "core/tree_search.h"

namespace pcclust::inline PCCLUST_ISA {

// The fewest points of a cluster below each of 16 siblings.
struct alignas(64) Lightest {
  double points[kFan];
};

// A candidate for nearest cluster; ties go to the lower id.
struct Nearest {
  double cost;
  int32_t id;
  bool loses_to(double other_cost, int32_t other_id) const {
    return other_cost < cost || (other_cost == cost && other_id < id);
  }
};

// Grows with either size, also in floating point: so it bounds from the lightest.
template <class V>
PCCLUST_INLINE V merge_factor(V left, V right) {
  return (left * right) / (left + right);
}

// The clusters of one cloud that are not merged yet, each named by one of its points.
class WardClusters {
 public:
  explicit WardClusters(const Threads& threads) : threads_(threads) {}

  void build(const double* points, int64_t count, int64_t dims) {
    clusters_.build(points, count, dims, threads_);
    alive_ = count;
    at_.resize(std::max<int64_t>(dims, 3));
    points_.resize(clusters_.tree.leaves * kFan);
    std::fill(points_.data(), points_.data() + clusters_.tree.leaves * kFan, 1.0);
    for (int64_t place = count; place < clusters_.tree.leaves * kFan; ++place) clear(place);
    bound();
  }

  bool alive(int32_t id) const { return clusters_.place[id] >= 0; }

  // Improves `best` to the nearest other cluster of `id`.
  void find_nearest(int32_t id, Nearest& best) {
    const int32_t place = clusters_.place[id];
    clusters_.copy_coordinates(place, at_.data());
    const Query query{Position<double>(at_.data()), points_[place], id};
    int64_t node = place / kFan;
    scan_leaf(query, node, best);
    for (int level = 0; level < clusters_.tree.levels; ++level, node /= kFan) {
      scan_group(query, level, node / kFan, 1u << (node % kFan), best);
    }
  }

  // Merges two clusters under the name of the second.
  void merge(int32_t left, int32_t right) {
    const int32_t from = clusters_.place[left], onto = clusters_.place[right];
    const int32_t keep = points_[from] > points_[onto] ? from : onto;
    const double share = points_[from] / (points_[from] + points_[onto]);
    for (int axis = 0; axis < 3 + clusters_.beyond; ++axis) {
      const double base = clusters_.coordinate(onto, axis);
      clusters_.coordinate(keep, axis) = base + (clusters_.coordinate(from, axis) - base) * share;
    }
    points_[keep] = points_[from] + points_[onto];
    const int32_t empty = keep == onto ? from : onto;
    clear(empty);
    clusters_.tree.leaf[keep / kFan].id[keep % kFan] = right;
    clusters_.place[right] = keep;
    clusters_.place[left] = -1;
    --alive_;
    const bool sparse = 2 * alive_ <= clusters_.tree.count && clusters_.tree.leaves > 1;
    if (sparse) return compact();
    name(empty);
    name(keep);
    stretch(keep);
  }

 private:
  using V = Vector<double>::Type;
  static constexpr int kLanes = Vector<double>::lanes;

  struct Query {
    Position<double> position;
    double points;
    int32_t id;
  };

  void scan_leaf(const Query& query, int64_t l, Nearest& best) const {
    const Leaf<double>& leaf = clusters_.tree.leaf[l];
    for (int lane = 0; lane < kFan; lane += kLanes) {
      const V sizes = load<V>(points_.data() + l * kFan + lane);
      const V cost = merge_factor(splat<V>(query.points), sizes) *
                     clusters_.squared_distances(query.position, at_.data(), l, lane);
      for (uint32_t near = lanes_at_most(cost, splat<V>(best.cost)); near; near &= near - 1) {
        const int bit = __builtin_ctz(near);
        const int32_t id = leaf.id[lane + bit];
        if (id != query.id && best.loses_to(cost[bit], id)) best = {cost[bit], id};
      }
    }
  }

  void scan_group(const Query& query, int level, int64_t group, uint32_t skip,
                  Nearest& best) const {
    const Boxes<double>& boxes = clusters_.tree.level[level][group];
    alignas(64) double bound[kFan];
    Searcher<double>::box_distances(query.position, boxes, bound);
    uint32_t left = 0;
    for (int lane = 0; lane < kFan; lane += kLanes) {
      const V lightest = load<V>(lightest_[level][group].points + lane);
      const V cost = merge_factor(splat<V>(query.points), lightest) * load<V>(bound + lane);
      store(bound + lane, cost);
      left |= lanes_at_most(cost, splat<V>(best.cost)) << lane;
    }
    for (left &= ~skip; left; left &= left - 1) {
      const int lane = __builtin_ctz(left);
      if (!best.loses_to(bound[lane], boxes.first[lane])) continue;
      const int64_t child = group * kFan + lane;
      if (level > 0) scan_group(query, level - 1, child, 0, best);
      else scan_leaf(query, child, best);
    }
  }

  // Empties a lane: no comparison with NaN ever holds.
  void clear(int64_t place) {
    for (int axis = 0; axis < 3; ++axis) {
      clusters_.coordinate(place, axis) = std::numeric_limits<double>::quiet_NaN();
    }
    clusters_.tree.leaf[place / kFan].id[place % kFan] = INT32_MAX;
  }

  // Tells the boxes above a lane the lowest id that is left, and that they are infinitely far where
  // none is. So of many equal points only the lowest are looked at.
  void name(int32_t place) {
    int64_t node = place / kFan;
    const int32_t* ids = clusters_.tree.leaf[node].id;
    for (int level = 0; level < clusters_.tree.levels; ++level, node /= kFan) {
      Boxes<double>& boxes = clusters_.tree.level[level][node / kFan];
      const int lane = node % kFan;
      boxes.first[lane] = *std::min_element(ids, ids + kFan);
      ids = boxes.first;
      if (boxes.first[lane] != INT32_MAX) continue;
      for (auto& low : boxes.low) low[lane] = std::numeric_limits<double>::infinity();
    }
  }

  // Lets the boxes above a lane hold what is there now.
  void stretch(int32_t place) {
    int64_t node = place / kFan;
    for (int level = 0; level < clusters_.tree.levels; ++level, node /= kFan) {
      Boxes<double>& boxes = clusters_.tree.level[level][node / kFan];
      const int lane = node % kFan;
      for (int axis = 0; axis < 3; ++axis) {
        const double at = clusters_.coordinate(place, axis);
        boxes.low[axis][lane] = std::min(boxes.low[axis][lane], at);
        boxes.high[axis][lane] = std::max(boxes.high[axis][lane], at);
      }
    }
  }

  // Moves the clusters together, in the order they lie in.
  void compact() {
    OwnTree<double>& tree = clusters_.tree;
    int32_t to = 0;
    for (int32_t from = 0; from < tree.leaves * kFan; ++from) {
      const int32_t id = tree.leaf[from / kFan].id[from % kFan];
      if (id == INT32_MAX) continue;
      for (int axis = 0; axis < 3 + clusters_.beyond; ++axis) {
        clusters_.coordinate(to, axis) = clusters_.coordinate(from, axis);
      }
      tree.leaf[to / kFan].id[to % kFan] = id;
      points_[to] = points_[from];
      clusters_.place[id] = to++;
    }
    tree.resize(to);  // the leaves stay where they are
    for (; to < tree.leaves * kFan; ++to) clear(to);
    bound_tree(tree, threads_);
    bound();
  }

  // Finds the lightest cluster below every node.
  void bound() {
    const Tree<double>& tree = clusters_.tree;
    while (static_cast<int>(lightest_.size()) < tree.levels) lightest_.emplace_back();
    int64_t nodes = tree.leaves;
    const double* below = points_.data();
    for (int level = 0; level < tree.levels; ++level, nodes = (nodes + kFan - 1) / kFan) {
      const int64_t groups = (nodes + kFan - 1) / kFan;
      lightest_[level].resize(groups);
      double* fewest = lightest_[level].data()->points;
      for (int64_t node = 0; node < groups * kFan; ++node) {
        fewest[node] = node < nodes ? *std::min_element(below + node * kFan, below + (node + 1) * kFan)
                                    : 1.0;
      }
      below = fewest;
    }
  }

  Threads threads_;
  PlacedTree<double> clusters_;
  int64_t alive_ = 0;
  Buffer<double> points_;                   // of each place
  std::vector<Buffer<Lightest>> lightest_;  // as the tree's boxes
  Buffer<double> at_;                       // coordinates of the cluster asked about
};

}  // namespace pcclust::inline PCCLUST_ISA
