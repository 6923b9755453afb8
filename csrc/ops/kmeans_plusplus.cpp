// pcclust::kmeans_plusplus on the CPU; the schema is in pcclust/ops/kmeans_plusplus.py.
#include <tuple>

#include "ops/kmeans_tensors.h"

namespace pcclust {
namespace {

std::tuple<Tensor, Tensor, Tensor> kmeans_plusplus(Tensor points, std::optional<Tensor> weights,
                                                Tensor shift, Tensor uniforms,
                                                int64_t first_center, Tensor labels,
                                                Tensor distances) {
  check_rows(points, "points");
  const int64_t count = points.size(0), dims = points.size(1);
  STD_TORCH_CHECK(count >= 1, "at least one point is needed");
  check_vector(shift, dims, points, "shift");
  check_vector(distances, count, points, "distances");
  check_labels(labels, count, first_center);
  if (weights) check_vector(*weights, count, points, "weights");
  STD_TORCH_CHECK(uniforms.dim() == 2 && uniforms.is_contiguous() && uniforms.is_cpu() &&
                      uniforms.scalar_type() == ScalarType::Double,
                  "uniforms must be a contiguous (steps, trials) of float64 on the CPU");
  const int64_t steps = uniforms.size(0), trials = uniforms.size(1);
  const double* uniform = uniforms.const_data_ptr<double>();
  for (int64_t i = 0; i < uniforms.numel(); ++i) {
    STD_TORCH_CHECK(uniform[i] >= 0 && uniform[i] < 1, "uniforms must lie in [0, 1)");
  }
  STD_TORCH_CHECK(first_center < INT32_MAX, "there are too many centers: ", first_center);
  STD_TORCH_CHECK(trials >= 1 && trials <= 32, "1 to 32 trials are possible, got ", trials);
  Tensor chosen = torch::stable::new_empty(points, {steps}, ScalarType::Long);
  Tensor nearest = torch::stable::clone(labels), remaining = torch::stable::clone(distances);
  with_floating(points, [&](auto zero) {
    using T = decltype(zero);
    const SeedArguments<T> a{
        .points = points.const_data_ptr<T>(),
        .count = count,
        .dims = dims,
        .weights = data_or_null<T>(weights),
        .shift = shift.const_data_ptr<T>(),
        .uniforms = uniform,
        .steps = steps,
        .trials = trials,
        .first_center = first_center,
        .chosen = chosen.mutable_data_ptr<int64_t>(),
        .labels = nearest.mutable_data_ptr<int64_t>(),
        .distances = remaining.mutable_data_ptr<T>(),
    };
    check_finite(a.points, points.numel(), "points");
    check_finite(a.shift, dims, "shift");
    check_not_negative(a.distances, count, "distances");
    if (weights) check_not_negative(a.weights, count, "weights");
    kernels_of<T>().greedy_seeds(a, torch_threads());
  });
  return {chosen, nearest, remaining};
}

}  // namespace
}  // namespace pcclust

STABLE_TORCH_LIBRARY_IMPL(pcclust, CPU, m) {
  m.impl("kmeans_plusplus", TORCH_BOX(&pcclust::kmeans_plusplus));
}
