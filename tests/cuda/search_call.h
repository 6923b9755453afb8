// What calls of knn and ball_query have in common: the tensors of a search, by the names of its
// schema.
#pragma once

#include <limits>

#include "cuda/neighbors.cuh"
#include "emulator/driver.h"

namespace pcclust::cuda {

template <class T>
Clouds<T> clouds_of(const emulator::Call& call, const char* rows, const char* starts,
                    const char* sizes) {
  return {call.input<T>(rows),         call.size(rows, 0),          call.size(rows, 1),
          call.input<int64_t>(starts), call.input<int64_t>(sizes), call.size(starts, 0)};
}

template <class T>
SearchArguments<T> search_arguments(emulator::Call& call, bool counted) {
  const Clouds<T> points = clouds_of<T>(call, "points", "starts", "sizes");
  const bool self = call.optional<T>("queries") == nullptr;
  const Clouds<T> queries =
      self ? points : clouds_of<T>(call, "queries", "query_starts", "query_sizes");
  const int64_t rows = queries.row_count, k = call.integer("k");
  return {
      .points = points,
      .queries = queries,
      .self = self,
      .exclude_self = call.integer("exclude_self") != 0,
      .packed = call.integer("packed") != 0,
      .k = k,
      .limit = std::numeric_limits<T>::infinity(),
      .distances = call.output<T>("distances", {rows, k}),
      .indices = call.output<int64_t>("indices", {rows, k}),
      .counts = counted ? call.output<int64_t>("counts", {rows}) : nullptr,
      .workspace = nullptr,
  };
}

// Searches through the grid, which operators take for large clouds only.
template <class T>
void search_by_grid(const emulator::Call& call, SearchArguments<T> a) {
  const GridPlan<T> plan(a.points.row_count, a.points.count, a.k);
  a.workspace = call.workspace(plan.bytes());
  call.check(search_by(Way::grid, a, call.stream()));
}

}  // namespace pcclust::cuda
