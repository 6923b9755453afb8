// pcclust::linear_pool on the CPU; the schema is in pcclust/ops/linear_pool.py.
#include <optional>
#include <tuple>
#include <vector>

#include "ops/row_parts.h"
#include "ops/segment_tables.h"

namespace pcclust {
namespace {

std::tuple<Tensor, Tensor> forward(std::vector<Tensor> parts, Tensor weight, Tensor bias,
                                   std::optional<Tensor> members, Tensor starts, Tensor sizes,
                                   double slope, bool half) {
  STD_TORCH_CHECK(weight.dim() == 2, "weight must be (outputs, inputs)");
  const int64_t outputs = weight.size(0), segments = starts.numel();
  Tensor maxima = torch::stable::new_empty(bias, {segments, outputs});
  Tensor means = torch::stable::new_empty(bias, {segments, outputs});
  with_parts(parts, bias, [&](auto zero) {
    using T = decltype(zero);
    const PartsOf<T> rows(parts);
    const Segments runs = segments_of(members, starts, sizes, rows.rows);
    kernels_of<T>().linear_pool(
        {.rows = rows.pointers(),
         .layer = row_layer_of(rows, weight, bias, outputs, outputs, slope, half),
         .members = runs.members,
         .starts = runs.starts,
         .sizes = runs.sizes,
         .segments = segments,
         .maxima = maxima.mutable_data_ptr<T>(),
         .means = means.mutable_data_ptr<T>()},
        torch_threads());
  });
  return {maxima, means};
}

}  // namespace
}  // namespace pcclust

STABLE_TORCH_LIBRARY_IMPL(pcclust, CPU, m) { m.impl("linear_pool", TORCH_BOX(&pcclust::forward)); }
