// Neighbours in more than three dimensions: every distance, summed in order of dimension.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/arguments.h"
#include "core/buffer.h"
#include "core/parallel.h"
#include "core/top_k.h"

namespace pcclust::inline PCCLUST_ISA {

template <class T>
void brute_query(const SearchArguments<T>& a, int64_t cloud, int64_t query, BufferList<T>& list,
                 Buffer<T>& distances) {
  const int64_t dims = a.points.dims, size = a.points.sizes[cloud];
  const T* points = a.points.rows + a.points.starts[cloud] * dims;
  const T* at = a.queries.rows + (a.queries.starts[cloud] + query) * dims;
  for (int64_t i = 0; i < size; ++i) {
    T sum = 0;
    for (int64_t d = 0; d < dims; ++d) {
      const T difference = at[d] - points[i * dims + d];
      sum += difference * difference;
    }
    distances[i] = sum;
  }
  list.start(a.limit);
  auto& waiting = list.waiting();
  for (int64_t i = 0; i < size; ++i) {
    if (!(distances[i] <= list.threshold()) || (a.exclude_self && i == query)) continue;
    waiting.candidate[waiting.count++] = make_candidate(distances[i], static_cast<int32_t>(i));
    if (waiting.count == Waiting<T>::full) list.work_in();
  }
  list.work_in();
  list.finish();
}

template <class T>
void brute_search(const SearchArguments<T>& a, const Threads& threads) {
  for (int64_t cloud = 0; cloud < a.points.count; ++cloud) {
    const int64_t queries = a.queries.sizes[cloud], run = 64;
    const int64_t first_row = a.queries.starts[cloud];
    const int64_t first_index = a.packed ? a.points.starts[cloud] : 0;
    for_each_task(threads, (queries + run - 1) / run, [&](int64_t task) {
      BufferList<T> list(a.k);
      Buffer<T> distances(a.points.sizes[cloud]);
      for (int64_t q = task * run; q < std::min(queries, (task + 1) * run); ++q) {
        brute_query(a, cloud, q, list, distances);
        int64_t count = 0;
        for (int64_t i = 0; i < a.k; ++i) {
          const int64_t id = list.id(i), at = (first_row + q) * a.k + i;
          a.distances[at] = list.distance(i);
          a.indices[at] = id < 0 ? -1 : id + first_index;
          count += id >= 0;
        }
        if (a.counts) a.counts[first_row + q] = count;
      }
    });
  }
}

}  // namespace pcclust::inline PCCLUST_ISA
