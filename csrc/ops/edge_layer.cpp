// pcclust::edge_layer on the CPU; the schema is in pcclust/ops/edge_layer.py.
#include <vector>

#include "ops/neighbor_table.h"
#include "ops/row_parts.h"

namespace pcclust {
namespace {

Tensor forward(std::vector<Tensor> parts, Tensor weight, Tensor bias, Tensor neighbors,
               Tensor starts, Tensor sizes, double slope) {
  const int64_t channels = bias.numel();
  Tensor out;
  with_parts(parts, bias, [&](auto zero) {
    using T = decltype(zero);
    const PartsOf<T> rows(parts);
    const Clouds<int64_t> clouds = neighbors_of(neighbors, rows.rows, starts, sizes);
    out = torch::stable::new_empty(bias, {rows.rows, channels});
    if (covered_rows(clouds) < rows.rows) torch::stable::fill_(out, 0);
    kernels_of<T>().edge_layer(
        {.rows = rows.pointers(),
         .layer = row_layer_of(rows, weight, bias, 2 * channels, channels, slope, false),
         .channels = channels,
         .neighbors = clouds.rows,
         .k = clouds.dims,
         .starts = clouds.starts,
         .sizes = clouds.sizes,
         .clouds = clouds.count,
         .out = out.mutable_data_ptr<T>()},
        torch_threads());
  });
  return out;
}

}  // namespace
}  // namespace pcclust

STABLE_TORCH_LIBRARY_IMPL(pcclust, CPU, m) { m.impl("edge_layer", TORCH_BOX(&pcclust::forward)); }
