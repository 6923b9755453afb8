// pcclust::ball_query on CUDA; the schema is in pcclust/ops/ball_query.py.
#include "cuda/ball_query.cuh"

#include <tuple>

#include "cuda/search_tensors.h"

namespace pcclust::cuda {
namespace {

std::tuple<Tensor, Tensor, Tensor> ball_query_tensors(
    Tensor points, Tensor starts, Tensor sizes, std::optional<Tensor> queries,
    std::optional<Tensor> query_starts, std::optional<Tensor> query_sizes, bool packed,
    double radius, int64_t max_neighbors, bool exclude_self) {
  STD_TORCH_CHECK(radius >= 0, "radius must be at least 0, got ", radius);
  const auto out = search_tensors(
      {points, starts, sizes, queries, query_starts, query_sizes}, packed, radius, max_neighbors,
      exclude_self, "ball_query",
      [](const auto& a, cudaStream_t stream) { return ball_query(a, stream); });
  return {out.distances, out.indices, out.counts};
}

}  // namespace
}  // namespace pcclust::cuda

STABLE_TORCH_LIBRARY_IMPL(pcclust, CUDA, m) {
  m.impl("ball_query", TORCH_BOX(&pcclust::cuda::ball_query_tensors));
}
