// pcclust::row_layer on CUDA: a product of cuBLAS, and bias and LeakyReLU in one pass; the schema is
// in pcclust/ops/row_layer.py.
#include <vector>

#include "cuda/row_product.h"

namespace pcclust::cuda {
namespace {

Tensor forward(std::vector<Tensor> parts, Tensor weight, Tensor bias, double slope, bool half) {
  check_parts(parts, weight, bias, bias.size(0), slope, half);
  const DeviceOf device(bias);
  const int64_t rows = parts[0].size(0), channels = bias.size(0);
  Tensor out = torch::stable::new_empty(bias, {rows, channels});
  with_floating(bias, [&](auto zero) {
    using T = decltype(zero);
    const Tensor x = rows_of_parts<T>(parts, half, device.stream());
    const Tensor product = product_of<T>(x, weight, half, device.stream());
    check(activate_rows(product.const_data_ptr<T>(), bias.const_data_ptr<T>(), rows, channels,
                        static_cast<T>(slope), out.mutable_data_ptr<T>(), device.stream()),
          "row_layer");
  });
  return out;
}

}  // namespace
}  // namespace pcclust::cuda

STABLE_TORCH_LIBRARY_IMPL(pcclust, CUDA, m) {
  m.impl("row_layer", TORCH_BOX(&pcclust::cuda::forward));
}
