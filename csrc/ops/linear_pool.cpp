// pcclust::linear_pool on the CPU; the schema is in pcclust/ops/linear_pool.py.
#include <optional>
#include <tuple>
#include <vector>

#include "ops/row_parts.h"

namespace pcclust {
namespace {

// Raises unless members are rows.
void check_members(const Tensor& members, int64_t rows) {
  const int64_t* values = members.const_data_ptr<int64_t>();
  bool valid = true;
  for (int64_t i = 0; i < members.numel(); ++i) {
    valid &= static_cast<uint64_t>(values[i]) < static_cast<uint64_t>(rows);
  }
  STD_TORCH_CHECK(valid, "members hold rows that there are not");
}

std::tuple<Tensor, Tensor> forward(std::vector<Tensor> parts, Tensor weight, Tensor bias,
                                   std::optional<Tensor> members, Tensor starts, Tensor sizes,
                                   double slope, bool half) {
  STD_TORCH_CHECK(weight.dim() == 2, "weight must be (outputs, inputs)");
  STD_TORCH_CHECK(!parts.empty() && parts[0].dim() == 2, "parts must be matrices");
  const int64_t outputs = weight.size(0), segments = starts.numel();
  if (members) {
    STD_TORCH_CHECK(members->dim() == 1 && members->is_contiguous() && members->is_cpu() &&
                        members->scalar_type() == ScalarType::Long,
                    "members must be a contiguous vector of int64 on the CPU");
    check_members(*members, parts[0].size(0));
  }
  Tensor maxima = torch::stable::new_empty(bias, {segments, outputs});
  Tensor means = torch::stable::new_empty(bias, {segments, outputs});
  with_parts(parts, bias, [&](auto zero) {
    using T = decltype(zero);
    const PartsOf<T> rows(parts);
    // Members, or the rows themselves, stand for the points of clouds, so that their checks serve.
    const int64_t* listed = data_or_null<int64_t>(members);
    const Clouds<int64_t> clouds =
        clouds_in(listed, members ? members->numel() : rows.rows, 1, starts, sizes);
    kernels_of<T>().linear_pool(
        {.rows = rows.pointers(),
         .layer = row_layer_of(rows, weight, bias, outputs, outputs, slope, half),
         .members = listed,
         .starts = clouds.starts,
         .sizes = clouds.sizes,
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
