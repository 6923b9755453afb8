// pcclust::kmeans_assign on the CPU; the schema is in pcclust/ops/kmeans_assign.py.
#include <tuple>

#include "ops/kmeans_tensors.h"

namespace pcclust {
namespace {

std::tuple<Tensor, Tensor> kmeans_assign(Tensor points, Tensor centers, Tensor shift,
                                          std::optional<Tensor> guess) {
  check_rows(points, "points");
  check_rows(centers, "centers");
  const int64_t count = points.size(0), dims = points.size(1);
  STD_TORCH_CHECK(centers.size(0) >= 1, "at least one center is needed");
  STD_TORCH_CHECK(centers.size(1) == dims && centers.scalar_type() == points.scalar_type(),
                  "centers and points differ in dimensions or dtype");
  STD_TORCH_CHECK(centers.size(0) < INT32_MAX, "too many centers: ", centers.size(0));
  check_vector(shift, dims, points, "shift");
  if (guess) check_labels(*guess, count, centers.size(0));
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
        .shift = shift.const_data_ptr<T>(),
        .guess = data_or_null<int64_t>(guess),
        .labels = labels.mutable_data_ptr<int64_t>(),
        .distances = distances.mutable_data_ptr<T>(),
    };
    check_finite(a.centers, centers.numel(), "centers");
    check_finite(a.shift, dims, "shift");
    kernels_of<T>().kmeans_assign(a, torch_threads());
    // Looking at the distances costs less than looking at the points.
    for (int64_t i = 0; i < count; ++i) {
      if (!(a.distances[i] <= std::numeric_limits<T>::max())) {
        check_finite(a.points + i * dims, dims, "points");
      }
    }
  });
  return {labels, distances};
}

}  // namespace
}  // namespace pcclust

STABLE_TORCH_LIBRARY_IMPL(pcclust, CPU, m) {
  m.impl("kmeans_assign", TORCH_BOX(&pcclust::kmeans_assign));
}
