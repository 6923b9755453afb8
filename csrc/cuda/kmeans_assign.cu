// pcclust::kmeans_assign on CUDA; the schema is in pcclust/ops/kmeans_assign.py.
#include "cuda/kmeans_assign.cuh"

#include <optional>
#include <tuple>

#include "cuda/tensors.h"

namespace pcclust::cuda {
namespace {

// All distances are computed, and directly: no guess saves any, no shift makes them more precise.
std::tuple<Tensor, Tensor> assigned(Tensor points, Tensor centers, Tensor /*shift*/,
                                    std::optional<Tensor> /*guess*/) {
  check_tensor(points, "points", points, points.scalar_type(), {-1, -1});
  const int64_t count = points.size(0), dims = points.size(1);
  check_tensor(centers, "centers", points, points.scalar_type(), {-1, dims});
  STD_TORCH_CHECK(centers.size(0) >= 1, "at least one center is needed");
  STD_TORCH_CHECK(centers.size(0) <= kMostRows, "too many centers: ", centers.size(0));
  const DeviceOf device(points);
  Tensor labels = torch::stable::new_empty(points, {count}, ScalarType::Long);
  Tensor distances = torch::stable::new_empty(points, {count});
  with_floating(points, [&](auto zero) {
    using T = decltype(zero);
    const KmeansAssignArguments<T> a{
        .points = points.const_data_ptr<T>(),
        .count = count,
        .dims = dims,
        .centers = centers.const_data_ptr<T>(),
        .center_count = centers.size(0),
        .labels = labels.mutable_data_ptr<int64_t>(),
        .distances = distances.mutable_data_ptr<T>(),
    };
    check(kmeans_assign(a, device.stream()), "kmeans_assign");
  });
  return {labels, distances};
}

}  // namespace
}  // namespace pcclust::cuda

STABLE_TORCH_LIBRARY_IMPL(pcclust, CUDA, m) {
  m.impl("kmeans_assign", TORCH_BOX(&pcclust::cuda::assigned));
}
