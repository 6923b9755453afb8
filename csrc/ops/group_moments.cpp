// pcclust::group_moments and its backward on the CPU; the schemas are in
// pcclust/ops/group_moments.py.
#include <tuple>

#include "core/kernels.h"
#include "ops/group_tensors.h"

namespace pcclust {
namespace {

std::tuple<Tensor, Tensor> forward(Tensor features, Tensor weight, Tensor bias, double slope) {
  const int64_t hidden = weight.size(0);
  Tensor total = torch::stable::new_empty(features, {hidden}, ScalarType::Double);
  Tensor products = torch::stable::new_empty(features, {hidden, hidden}, ScalarType::Double);
  with_floating(features, [&](auto zero) {
    using T = decltype(zero);
    kernels_of<T>().group_moments({layer_of<T>(features, weight, bias, slope),
                                   total.mutable_data_ptr<double>(),
                                   products.mutable_data_ptr<double>()},
                                  torch_threads());
  });
  return {total, products};
}

std::tuple<Tensor, Tensor, Tensor> backward(Tensor total_gradient, Tensor products_gradient,
                                            Tensor features, Tensor weight, Tensor bias,
                                            double slope, bool wanted) {
  const int64_t hidden = weight.size(0);
  check_vector(total_gradient, "total_gradient", ScalarType::Double, hidden);
  check_matrix(products_gradient, "products_gradient", ScalarType::Double, hidden, hidden);
  const LayerGradients gradients(features, weight, bias, wanted);
  with_floating(features, [&](auto zero) {
    using T = decltype(zero);
    kernels_of<T>().group_moments_backward(
        {layer_of<T>(features, weight, bias, slope), total_gradient.const_data_ptr<double>(),
         products_gradient.const_data_ptr<double>(), gradients.pointers<T>()},
        torch_threads());
  });
  return {gradients.features, gradients.weight, gradients.bias};
}

}  // namespace
}  // namespace pcclust

STABLE_TORCH_LIBRARY_IMPL(pcclust, CPU, m) {
  m.impl("group_moments", TORCH_BOX(&pcclust::forward));
  m.impl("group_moments_backward", TORCH_BOX(&pcclust::backward));
}
