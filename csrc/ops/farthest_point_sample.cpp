// pcclust::farthest_point_sample on the CPU; the schema is in pcclust/ops/farthest_point_sample.py.
#include "core/kernels.h"
#include "ops/tensors.h"

namespace pcclust {
namespace {

Tensor farthest_point_sample(Tensor points, Tensor starts, Tensor sizes, Tensor first, bool packed,
                             int64_t num_samples) {
  STD_TORCH_CHECK(num_samples >= 1, "num_samples must be at least 1, got ", num_samples);
  STD_TORCH_CHECK(first.dim() == 1 && first.is_contiguous() && first.is_cpu() &&
                      first.scalar_type() == ScalarType::Long && first.numel() == starts.numel(),
                  "first must be contiguous int64, one for each cloud");
  Tensor indices =
      torch::stable::new_empty(points, {starts.numel(), num_samples}, ScalarType::Long);
  with_floating(points, [&](auto zero) {
    using T = decltype(zero);
    const FarthestPointArguments<T> a{
        .points = points_of<T>(points, starts, sizes),
        .first = first.const_data_ptr<int64_t>(),
        .packed = packed,
        .num_samples = num_samples,
        .indices = indices.mutable_data_ptr<int64_t>(),
    };
    for (int64_t cloud = 0; cloud < a.points.count; ++cloud) {
      const int64_t size = a.points.sizes[cloud];
      if (size == 0) continue;
      STD_TORCH_CHECK(num_samples <= size, "num_samples=", num_samples, " exceeds the ", size,
                      " points of cloud ", cloud);
      STD_TORCH_CHECK(a.first[cloud] >= 0 && a.first[cloud] < size, "start=", a.first[cloud],
                      " is not a point of cloud ", cloud, ", which has ", size);
    }
    if (has_empty_cloud(a.points)) torch::stable::fill_(indices, -1);
    kernels_of<T>().farthest_points(a, torch_threads());
  });
  return indices;
}

}  // namespace
}  // namespace pcclust

STABLE_TORCH_LIBRARY_IMPL(pcclust, CPU, m) {
  m.impl("farthest_point_sample", TORCH_BOX(&pcclust::farthest_point_sample));
}
