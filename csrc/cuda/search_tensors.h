// What the knn and ball_query operators share on CUDA: from torch's tensors to a search's
// arguments.
#pragma once

#include <limits>
#include <optional>

#include "cuda/cloud_tensors.h"
#include "cuda/neighbors.cuh"

namespace pcclust::cuda {

// The tensors of one search, in the order of the schemas.
struct SearchTensors {
  Tensor points, starts, sizes;
  std::optional<Tensor> queries, query_starts, query_sizes;
};

struct NeighborTensors {
  Tensor distances, indices, counts;
};

inline void check_search(const SearchTensors& given, int64_t k) {
  STD_TORCH_CHECK(k >= 1, "k must be at least 1, got ", k);
  const int64_t clouds = check_points(given.points, given.starts, given.sizes);
  if (!given.queries) {
    STD_TORCH_CHECK(!given.query_starts && !given.query_sizes, "starts and sizes need their queries");
    return;
  }
  STD_TORCH_CHECK(given.query_starts && given.query_sizes, "queries need their starts and sizes");
  check_rows(*given.queries, "queries", given.points);
  const int64_t asked = check_clouds(*given.query_starts, *given.query_sizes, given.points);
  STD_TORCH_CHECK(asked == clouds, "queries hold ", asked, " clouds, points ", clouds);
}

// Searches within `radius`, which is rounded to the points' dtype before it is squared, or, without
// one, for the k nearest, which are not counted. run(arguments, stream) launches.
template <class Run>
NeighborTensors search_tensors(const SearchTensors& given, bool packed,
                               std::optional<double> radius, int64_t k, bool exclude_self,
                               const char* name, const Run& run) {
  check_search(given, k);
  const Tensor& points = given.points;
  const bool self = !given.queries.has_value();
  const int64_t rows = self ? points.size(0) : given.queries->size(0);
  const DeviceOf device(points);
  NeighborTensors out{
      torch::stable::new_empty(points, {rows, k}),
      torch::stable::new_empty(points, {rows, k}, ScalarType::Long),
      torch::stable::new_empty(points, {radius ? rows : 0}, ScalarType::Long),
  };
  with_floating(points, [&](auto zero) {
    using T = decltype(zero);
    const T reach = static_cast<T>(radius.value_or(std::numeric_limits<double>::infinity()));
    const auto clouds = clouds_of<T>(points, given.starts, given.sizes);
    const Tensor workspace = new_workspace(
        points, search_workspace<T>(clouds.row_count, clouds.count, clouds.dims, k));
    const SearchArguments<T> arguments{
        .points = clouds,
        .queries = self ? clouds
                        : clouds_of<T>(*given.queries, *given.query_starts, *given.query_sizes),
        .self = self,
        .exclude_self = exclude_self && self,
        .packed = packed,
        .k = k,
        .limit = reach * reach,
        .distances = out.distances.template mutable_data_ptr<T>(),
        .indices = out.indices.template mutable_data_ptr<int64_t>(),
        .counts = radius ? out.counts.template mutable_data_ptr<int64_t>() : nullptr,
        .workspace = workspace.mutable_data_ptr(),
    };
    check(run(arguments, device.stream()), name);
  });
  return out;
}

}  // namespace pcclust::cuda
