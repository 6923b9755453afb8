// Ward's agglomerative clustering by nearest-neighbour chains.
//
// A chain steps from a cluster to its nearest, to that one's nearest, … until two are each other's
// nearest: they merge, and the rest of the chain stays valid (Murtagh, "A survey of recent advances
// in hierarchical clustering algorithms", 1983).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/arguments.h"
#include "core/buffer.h"
#include "core/dendrogram.h"
#include "core/parallel.h"
#include "core/ward_clusters.h"

namespace pcclust::inline PCCLUST_ISA {

// Runs the chain over one cloud after another, keeping its memory.
class WardChain {
 public:
  explicit WardChain(const Threads& threads) : threads_(threads), clusters_(threads) {}

  // Returns the merges of a cloud, each before those that build on it.
  std::vector<Merge>& run(const double* points, int64_t count, int64_t dims) {
    clusters_.build(points, count, dims);
    merges_.clear();
    merges_.reserve(count);
    in_chain_.assign(count, false);
    int64_t steps = 0;
    for (int32_t lowest = 0; static_cast<int64_t>(merges_.size()) + 1 < count;) {
      if (++steps % 64 == 0) threads_.check();
      while (!clusters_.alive(lowest)) ++lowest;
      if (chain_.empty()) push({0, lowest});
      extend();
    }
    while (!chain_.empty()) pop();
    return merges_;
  }

 private:
  // Goes on to the nearest cluster of the last one, or merges the last two. Of equally near ones the
  // previous wins, or chains would run in circles.
  void extend() {
    const bool alone = chain_.size() < 2;
    const int32_t last = chain_.back().id;
    Nearest best{std::numeric_limits<double>::infinity(), INT32_MAX};
    if (!alone) best = {chain_.back().cost, -1};
    clusters_.find_nearest(last, best);
    if (best.id >= 0) {
      if (!in_chain_[best.id]) return push(best);
      // Rounding made a merged cluster come nearer than its parts: the chain goes on from there.
      while (chain_.back().id != best.id) pop();
      return;
    }
    const int32_t previous = chain_[chain_.size() - 2].id;
    pop();
    pop();
    const int32_t left = std::min(last, previous), right = std::max(last, previous);
    clusters_.merge(left, right);
    merges_.push_back({left, right, best.cost});
  }

  void push(Nearest next) {
    in_chain_[next.id] = true;
    chain_.push_back(next);
  }
  void pop() {
    in_chain_[chain_.back().id] = false;
    chain_.pop_back();
  }

  Threads threads_;
  WardClusters clusters_;
  std::vector<Nearest> chain_;  // clusters, with what merging each with the one before would cost
  std::vector<bool> in_chain_;
  std::vector<Merge> merges_;
};

// Copies a cloud as doubles about the middle of its box, scaled by a power of two so that no square
// overflows or underflows; returns that exponent. Nothing is lost to where the cloud lies.
template <class T>
int centre_cloud(const T* points, int64_t count, int64_t dims, double* to) {
  double largest = 0;
  for (int64_t i = 0; i < count * dims; ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(points[i])));
  }
  int exponent;
  std::frexp(largest, &exponent);
  exponent = std::clamp(exponent, -1000, 1000);
  const double scale = std::ldexp(1.0, -exponent);
  for (int64_t i = 0; i < count * dims; ++i) to[i] = scale * points[i];
  for (int64_t axis = 0; axis < dims; ++axis) {
    double low = to[axis], high = low;
    for (int64_t i = 1; i < count; ++i) {
      low = std::min(low, to[i * dims + axis]);
      high = std::max(high, to[i * dims + axis]);
    }
    const double middle = low + (high - low) * 0.5;
    for (int64_t i = 0; i < count; ++i) to[i * dims + axis] -= middle;
  }
  return exponent;
}

template <class T>
void ward_clouds(const WardArguments<T>& a, const Threads& threads) {
  // The merges of one cloud follow from each other: threads share the building of its tree, no more.
  const Shares shares = share_clouds(threads, a.points.count, threads.count);
  struct Scratch {
    WardChain chain;
    Buffer<double> points;
  };
  for_each_task_with(
      shares.across, a.points.count, [&] { return Scratch{WardChain(shares.inside), {}}; },
      [&](int64_t cloud, Scratch& scratch) {
        const int64_t start = a.points.starts[cloud], size = a.points.sizes[cloud];
        scratch.points.resize(size * a.points.dims);
        const T* rows = a.points.rows + start * a.points.dims;
        const int exponent = centre_cloud(rows, size, a.points.dims, scratch.points.data());
        const double unit = std::ldexp(1.0, exponent);
        write_linkage(scratch.chain.run(scratch.points.data(), size, a.points.dims), unit,
                      a.linkage + 4 * (start - cloud));
      });
}

}  // namespace pcclust::inline PCCLUST_ISA
