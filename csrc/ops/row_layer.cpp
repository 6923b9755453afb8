// pcclust::row_layer on the CPU; the schema is in pcclust/ops/row_layer.py.
#include <vector>

#include "ops/row_parts.h"

namespace pcclust {
namespace {

Tensor forward(std::vector<Tensor> parts, Tensor weight, Tensor bias, double slope, bool half) {
  STD_TORCH_CHECK(weight.dim() == 2, "weight must be (outputs, inputs)");
  const int64_t outputs = weight.size(0);
  Tensor out;
  with_parts(parts, bias, [&](auto zero) {
    using T = decltype(zero);
    const PartsOf<T> rows(parts);
    const RowLayer<T> layer = row_layer_of(rows, weight, bias, outputs, outputs, slope, half);
    out = torch::stable::new_empty(bias, {rows.rows, outputs});
    kernels_of<T>().row_layer({rows.pointers(), rows.rows, layer, out.mutable_data_ptr<T>()},
                              torch_threads());
  });
  return out;
}

}  // namespace
}  // namespace pcclust

STABLE_TORCH_LIBRARY_IMPL(pcclust, CPU, m) { m.impl("row_layer", TORCH_BOX(&pcclust::forward)); }
