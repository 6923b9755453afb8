// pcclust::knn on CUDA; the schema is in pcclust/ops/knn.py.
#include "cuda/knn.cuh"

#include <tuple>

#include "cuda/search_tensors.h"

namespace pcclust::cuda {

// Here for all operators that search: neighbors.cuh declares them.
template cudaError_t search_by(Way, const SearchArguments<float>&, cudaStream_t);
template cudaError_t search_by(Way, const SearchArguments<double>&, cudaStream_t);

namespace {

std::tuple<Tensor, Tensor> knn_tensors(Tensor points, Tensor starts, Tensor sizes,
                                       std::optional<Tensor> queries,
                                       std::optional<Tensor> query_starts,
                                       std::optional<Tensor> query_sizes, bool packed, int64_t k,
                                       bool exclude_self) {
  const auto out = search_tensors(
      {points, starts, sizes, queries, query_starts, query_sizes}, packed, std::nullopt, k,
      exclude_self, "knn", [](const auto& a, cudaStream_t stream) { return knn(a, stream); });
  return {out.distances, out.indices};
}

}  // namespace
}  // namespace pcclust::cuda

STABLE_TORCH_LIBRARY_IMPL(pcclust, CUDA, m) {
  m.impl("knn", TORCH_BOX(&pcclust::cuda::knn_tensors));
}
