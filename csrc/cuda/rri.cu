// pcclust::rri and pcclust::rri_links on CUDA; the schemas are in pcclust/ops/rri.py.
#include "cuda/rri.cuh"

#include <optional>
#include <tuple>

#include "cuda/cloud_tensors.h"

namespace pcclust::cuda {
namespace {

struct RriTensors {
  Tensor features, neighbors, successors;
};

RriTensors rri_tensors(const Tensor& points, const Tensor& starts, const Tensor& sizes,
                       const std::optional<Tensor>& centers, int64_t k, bool links) {
  STD_TORCH_CHECK(k >= 1, "k must be at least 1, got ", k);
  const int64_t clouds = check_points(points, starts, sizes);
  STD_TORCH_CHECK(points.size(1) == 3, "rri needs 3 dimensions, got ", points.size(1));
  if (centers) check_tensor(*centers, "centers", points, points.scalar_type(), {clouds, 3});
  const DeviceOf device(points);
  const int64_t rows = points.size(0), linked = links ? rows : 0;
  RriTensors out{
      torch::stable::new_empty(points, {rows, k, 4}),
      torch::stable::new_empty(points, {linked, k}, ScalarType::Long),
      torch::stable::new_empty(points, {linked, k}, ScalarType::Long),
  };
  with_floating(points, [&](auto zero) {
    using T = decltype(zero);
    const Tensor workspace = new_workspace(points, rri_workspace<T>(rows, clouds, k, links));
    const RriArguments<T> a{
        .clouds = clouds_of<T>(points, starts, sizes),
        .centers = data_or_null<T>(centers),
        .k = k,
        .features = out.features.template mutable_data_ptr<T>(),
        .neighbors = links ? out.neighbors.template mutable_data_ptr<int64_t>() : nullptr,
        .successors = links ? out.successors.template mutable_data_ptr<int64_t>() : nullptr,
        .workspace = workspace.mutable_data_ptr(),
    };
    check(rri(a, device.stream()), "rri");
  });
  return out;
}

Tensor features_of(Tensor points, Tensor starts, Tensor sizes, std::optional<Tensor> centers,
                   int64_t k) {
  return rri_tensors(points, starts, sizes, centers, k, false).features;
}

std::tuple<Tensor, Tensor, Tensor> linked_features_of(Tensor points, Tensor starts, Tensor sizes,
                                                      std::optional<Tensor> centers, int64_t k) {
  const auto out = rri_tensors(points, starts, sizes, centers, k, true);
  return {out.features, out.neighbors, out.successors};
}

}  // namespace
}  // namespace pcclust::cuda

STABLE_TORCH_LIBRARY_IMPL(pcclust, CUDA, m) {
  m.impl("rri", TORCH_BOX(&pcclust::cuda::features_of));
  m.impl("rri_links", TORCH_BOX(&pcclust::cuda::linked_features_of));
}
