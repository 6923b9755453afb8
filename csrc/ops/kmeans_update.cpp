// pcclust::kmeans_update on the CPU; the schema is in pcclust/ops/kmeans_update.py.
#include <tuple>

#include "ops/kmeans_tensors.h"

namespace pcclust {
namespace {

std::tuple<Tensor, Tensor> kmeans_update(Tensor points, std::optional<Tensor> weights,
                                        Tensor labels, int64_t clusters) {
  check_rows(points, "points");
  const int64_t count = points.size(0), dims = points.size(1);
  STD_TORCH_CHECK(clusters >= 1, "at least one cluster is needed, got ", clusters);
  check_labels(labels, count, clusters);
  if (weights) check_vector(*weights, count, points, "weights");
  Tensor sums = torch::stable::new_empty(points, {clusters, dims}, ScalarType::Double);
  Tensor masses = torch::stable::new_empty(points, {clusters}, ScalarType::Double);
  with_floating(points, [&](auto zero) {
    using T = decltype(zero);
    const KmeansUpdateArguments<T> a{
        .points = points.const_data_ptr<T>(),
        .count = count,
        .dims = dims,
        .weights = data_or_null<T>(weights),
        .labels = labels.const_data_ptr<int64_t>(),
        .clusters = clusters,
        .sums = sums.mutable_data_ptr<double>(),
        .masses = masses.mutable_data_ptr<double>(),
    };
    kernels_of<T>().sum_clusters(a, torch_threads());
  });
  return {sums, masses};
}

}  // namespace
}  // namespace pcclust

STABLE_TORCH_LIBRARY_IMPL(pcclust, CPU, m) {
  m.impl("kmeans_update", TORCH_BOX(&pcclust::kmeans_update));
}
