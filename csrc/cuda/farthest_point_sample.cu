// pcclust::farthest_point_sample on CUDA; the schema is in pcclust/ops/farthest_point_sample.py.
#include "cuda/farthest_point_sample.cuh"

#include "cuda/cloud_tensors.h"

namespace pcclust::cuda {
namespace {

Tensor sampled_indices(Tensor points, Tensor starts, Tensor sizes, Tensor first, bool packed,
                       int64_t num_samples) {
  STD_TORCH_CHECK(num_samples >= 1, "num_samples must be at least 1, got ", num_samples);
  const int64_t clouds = check_points(points, starts, sizes);
  check_tensor(first, "first", points, ScalarType::Long, {clouds});
  const DeviceOf device(points);
  Tensor indices = torch::stable::new_empty(points, {clouds, num_samples}, ScalarType::Long);
  with_floating(points, [&](auto zero) {
    using T = decltype(zero);
    const Tensor workspace =
        new_workspace(points, farthest_point_sample_workspace<T>(points.size(0), clouds));
    const FarthestPointSampleArguments<T> a{
        .points = clouds_of<T>(points, starts, sizes),
        .first = first.const_data_ptr<int64_t>(),
        .packed = packed,
        .num_samples = num_samples,
        .indices = indices.mutable_data_ptr<int64_t>(),
        .workspace = workspace.mutable_data_ptr(),
    };
    check(farthest_point_sample(a, device.stream()), "farthest_point_sample");
  });
  return indices;
}

}  // namespace
}  // namespace pcclust::cuda

STABLE_TORCH_LIBRARY_IMPL(pcclust, CUDA, m) {
  m.impl("farthest_point_sample", TORCH_BOX(&pcclust::cuda::sampled_indices));
}
