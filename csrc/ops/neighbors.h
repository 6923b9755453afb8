// What the operators that search for neighbours share.
#pragma once

#include <limits>
#include <optional>

#include "core/kernels.h"
#include "ops/tensors.h"

namespace pcclust {

struct NeighborTensors {
  Tensor distances, indices, counts;
};

// Calls search(arguments) for clouds of points within `radius`, which is inf for kNN and rounded to
// their dtype first.
template <class Search>
NeighborTensors search_tensors(const Tensor& points, const Tensor& starts, const Tensor& sizes,
                               const std::optional<Tensor>& queries,
                               const std::optional<Tensor>& query_starts,
                               const std::optional<Tensor>& query_sizes, bool packed,
                               double radius, int64_t k, bool exclude_self, bool counted,
                               const Search& search) {
  const bool self = !queries.has_value();
  STD_TORCH_CHECK(k >= 1, "k must be at least 1, got ", k);
  STD_TORCH_CHECK(self || (query_starts && query_sizes), "queries need their starts and sizes");
  STD_TORCH_CHECK(!self || (!query_starts && !query_sizes), "starts and sizes need their queries");
  const Tensor& asked = self ? points : *queries;
  STD_TORCH_CHECK(asked.scalar_type() == points.scalar_type(), "queries and points differ in dtype");
  STD_TORCH_CHECK(!exclude_self || self, "exclude_self needs the points to be their own queries");
  const int64_t rows = asked.size(0);
  NeighborTensors out{
      torch::stable::new_empty(points, {rows, k}),
      torch::stable::new_empty(points, {rows, k}, ScalarType::Long),
      torch::stable::new_empty(points, {counted ? rows : 0}, ScalarType::Long),
  };
  with_floating(points, [&](auto zero) {
    using T = decltype(zero);
    SearchArguments<T> a{
        .points = clouds_of<T>(points, starts, sizes),
        .queries = self ? clouds_of<T>(points, starts, sizes)
                        : clouds_of<T>(*queries, *query_starts, *query_sizes),
        .self = self,
        .exclude_self = exclude_self,
        .packed = packed,
        .k = k,
        .limit = static_cast<T>(radius) * static_cast<T>(radius),
        .distances = out.distances.template mutable_data_ptr<T>(),
        .indices = out.indices.template mutable_data_ptr<int64_t>(),
        .counts = counted ? out.counts.template mutable_data_ptr<int64_t>() : nullptr,
    };
    STD_TORCH_CHECK(a.points.count == a.queries.count && a.points.dims == a.queries.dims,
                    "queries and points differ in clouds or dimensions");
    STD_TORCH_CHECK(a.points.dims >= 1, "points need at least one dimension");
    if (covered_rows(a.queries) < rows || has_empty_cloud(a.points)) {
      torch::stable::fill_(out.distances, std::numeric_limits<double>::infinity());
      torch::stable::fill_(out.indices, -1);
      torch::stable::fill_(out.counts, 0);
    }
    search(a);
  });
  return out;
}

// Searches without an index.
inline constexpr auto search_anew = []<class T>(const SearchArguments<T>& a) {
  check_points(a.points);
  if (!a.self) check_points(a.queries);
  kernels_of<T>().search(a, torch_threads());
};

}  // namespace pcclust
