// pcclust::ball_query on the CPU; the schema is in pcclust/ops/ball_query.py.
#include <tuple>

#include "ops/neighbors.h"

namespace pcclust {
namespace {

std::tuple<Tensor, Tensor, Tensor> ball_query(Tensor points, Tensor starts, Tensor sizes,
                                              std::optional<Tensor> queries,
                                              std::optional<Tensor> query_starts,
                                              std::optional<Tensor> query_sizes, bool packed,
                                              double radius, int64_t max_neighbors,
                                              bool exclude_self) {
  STD_TORCH_CHECK(radius >= 0, "radius must be at least 0, got ", radius);
  auto out = search_tensors(points, starts, sizes, queries, query_starts, query_sizes, packed,
                            radius, max_neighbors, exclude_self, true, search_anew);
  return {out.distances, out.indices, out.counts};
}

}  // namespace
}  // namespace pcclust

STABLE_TORCH_LIBRARY_IMPL(pcclust, CPU, m) {
  m.impl("ball_query", TORCH_BOX(&pcclust::ball_query));
}
