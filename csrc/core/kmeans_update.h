// Weighted sums of the points of every cluster, in double, the same bits for any number of threads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/buffer.h"
#include "core/kmeans_arguments.h"
#include "core/parallel.h"
#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

// Points sorted by cluster, and where each cluster begins.
struct Members {
  Buffer<int64_t> order, starts;

  Members(const int64_t* labels, int64_t count, int64_t clusters)
      : order(count), starts(clusters + 2) {
    // Shifted by two, so that after filling, starts[c] is where cluster c begins.
    std::fill_n(starts.data(), clusters + 2, int64_t{0});
    for (int64_t i = 0; i < count; ++i) ++starts[labels[i] + 2];
    for (int64_t c = 2; c < clusters + 2; ++c) starts[c] += starts[c - 1];
    for (int64_t i = 0; i < count; ++i) order[starts[labels[i] + 1]++] = i;
  }
};

// Rows of a cluster lie anywhere, so that the processor cannot foresee the next one.
template <class T>
PCCLUST_INLINE void prefetch(const KmeansUpdateArguments<T>& to, int64_t row, int64_t begin,
                             int64_t width) {
  const T* at = to.points + row * to.dims + begin;
  for (int64_t d = 0; d < width; d += 64 / sizeof(T)) __builtin_prefetch(at + d);
}

template <class T>
void sum_clusters(const KmeansUpdateArguments<T>& to, const Threads& threads) {
  constexpr int64_t kSlab = 256;  // dimensions of one task, so that one large cluster is shared
  const Members members(to.labels, to.count, to.clusters);
  const int64_t slabs = (to.dims + kSlab - 1) / kSlab;
  for_each_task(threads, to.clusters * slabs, [&](int64_t task) {
    const int64_t cluster = task / slabs, begin = task % slabs * kSlab;
    const int64_t width = std::min(kSlab, to.dims - begin);
    double sum[kSlab] = {}, mass = 0;
    for (int64_t m = members.starts[cluster]; m < members.starts[cluster + 1]; ++m) {
      const int64_t i = members.order[m];
      const T* row = to.points + i * to.dims + begin;
      const double weight = to.weights ? static_cast<double>(to.weights[i]) : 1;
      mass += weight;
      prefetch(to, members.order[m + 1 < members.starts[cluster + 1] ? m + 1 : m], begin, width);
      if (width == kSlab) {
        for (int64_t d = 0; d < kSlab; ++d) sum[d] += weight * static_cast<double>(row[d]);
      } else {
        for (int64_t d = 0; d < width; ++d) sum[d] += weight * static_cast<double>(row[d]);
      }
    }
    std::copy_n(sum, width, to.sums + cluster * to.dims + begin);
    if (begin == 0) to.masses[cluster] = mass;
  });
}

}  // namespace pcclust::inline PCCLUST_ISA
