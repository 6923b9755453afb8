// pcclust::knn on the CPU; the schema is in pcclust/ops/knn.py.
#include <tuple>

#include "ops/neighbors.h"

namespace pcclust {
namespace {

std::tuple<Tensor, Tensor> knn(Tensor points, Tensor starts, Tensor sizes,
                               std::optional<Tensor> queries, std::optional<Tensor> query_starts,
                               std::optional<Tensor> query_sizes, bool packed, int64_t k,
                               bool exclude_self) {
  auto out = search_tensors(points, starts, sizes, queries, query_starts, query_sizes, packed,
                            std::numeric_limits<double>::infinity(), k, exclude_self, false,
                            search_anew);
  return {out.distances, out.indices};
}

}  // namespace
}  // namespace pcclust

STABLE_TORCH_LIBRARY_IMPL(pcclust, CPU, m) { m.impl("knn", TORCH_BOX(&pcclust::knn)); }
