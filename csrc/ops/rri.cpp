// pcclust::rri and pcclust::rri_links on the CPU; the schemas are in pcclust/ops/rri.py.
#include <optional>
#include <tuple>

#include "core/kernels.h"
#include "ops/tensors.h"

namespace pcclust {
namespace {

struct RriTensors {
  Tensor features, neighbors, successors;
};

RriTensors rri_tensors(const Tensor& points, const Tensor& starts, const Tensor& sizes,
                       const std::optional<Tensor>& centers, int64_t k, bool links) {
  STD_TORCH_CHECK(k >= 1, "k must be at least 1, got ", k);
  if (centers) check_matrix(*centers, "centers", points.scalar_type(), starts.numel(), 3);
  const int64_t rows = points.size(0), linked = links ? rows : 0;
  RriTensors out{
      torch::stable::new_empty(points, {rows, k, 4}),
      torch::stable::new_empty(points, {linked, k}, ScalarType::Long),
      torch::stable::new_empty(points, {linked, k}, ScalarType::Long),
  };
  with_floating(points, [&](auto zero) {
    using T = decltype(zero);
    const RriArguments<T> a{
        .clouds = points_of<T>(points, starts, sizes),
        .centers = data_or_null<T>(centers),
        .k = k,
        .features = out.features.template mutable_data_ptr<T>(),
        .neighbors = links ? out.neighbors.template mutable_data_ptr<int64_t>() : nullptr,
        .successors = links ? out.successors.template mutable_data_ptr<int64_t>() : nullptr,
    };
    if (centers) check_finite(a.centers, centers->numel(), "centers");
    STD_TORCH_CHECK(a.clouds.dims == 3, "rri needs 3 dimensions, got ", a.clouds.dims);
    for (int64_t cloud = 0; cloud < a.clouds.count; ++cloud) {
      STD_TORCH_CHECK(k < a.clouds.sizes[cloud] || a.clouds.sizes[cloud] == 0, "k=", k, " exceeds the ",
                      a.clouds.sizes[cloud] - 1, " other points of cloud ", cloud);
    }
    if (covered_rows(a.clouds) < rows) {
      torch::stable::fill_(out.features, 0);
      torch::stable::fill_(out.neighbors, -1);
      torch::stable::fill_(out.successors, -1);
    }
    kernels_of<T>().rri(a, torch_threads());
  });
  return out;
}

Tensor rri_features(Tensor points, Tensor starts, Tensor sizes,
                    std::optional<Tensor> centers, int64_t k) {
  return rri_tensors(points, starts, sizes, centers, k, false).features;
}

std::tuple<Tensor, Tensor, Tensor> rri_links(Tensor points, Tensor starts, Tensor sizes,
                                             std::optional<Tensor> centers, int64_t k) {
  auto out = rri_tensors(points, starts, sizes, centers, k, true);
  return {out.features, out.neighbors, out.successors};
}

}  // namespace
}  // namespace pcclust

STABLE_TORCH_LIBRARY_IMPL(pcclust, CPU, m) {
  m.impl("rri", TORCH_BOX(&pcclust::rri_features));
  m.impl("rri_links", TORCH_BOX(&pcclust::rri_links));
}
