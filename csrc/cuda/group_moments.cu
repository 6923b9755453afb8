// pcclust::group_moments and its backward on CUDA; the schemas are in pcclust/ops/group_moments.py.
#include "cuda/group_moments.cuh"

#include <tuple>

#include "cuda/group_tensors.h"

namespace pcclust::cuda {
namespace {

std::tuple<Tensor, Tensor> forward(Tensor features, Tensor weight, Tensor bias, double slope) {
  check_layer(features, weight, bias, slope);
  const int64_t hidden = weight.size(0);
  const DeviceOf device(features);
  Tensor total = torch::stable::new_empty(features, {hidden}, ScalarType::Double);
  Tensor products = torch::stable::new_empty(features, {hidden, hidden}, ScalarType::Double);
  with_floating(features, [&](auto zero) {
    using T = decltype(zero);
    const GroupLayer<T> layer = layer_of<T>(features, weight, bias, slope);
    const Tensor workspace = new_workspace(features, group_moments_workspace(layer));
    const GroupMomentsArguments<T> a{layer, total.mutable_data_ptr<double>(),
                                     products.mutable_data_ptr<double>(),
                                     workspace.mutable_data_ptr()};
    check(group_moments(a, device.stream()), "group_moments");
  });
  return {total, products};
}

std::tuple<Tensor, Tensor, Tensor> backward(Tensor total_gradient, Tensor products_gradient,
                                            Tensor features, Tensor weight, Tensor bias,
                                            double slope, bool wanted) {
  check_layer(features, weight, bias, slope);
  const int64_t hidden = weight.size(0);
  check_tensor(total_gradient, "total_gradient", features, ScalarType::Double, {hidden});
  check_tensor(products_gradient, "products_gradient", features, ScalarType::Double,
               {hidden, hidden});
  const DeviceOf device(features);
  const LayerGradients gradients(features, weight, bias, wanted);
  with_floating(features, [&](auto zero) {
    using T = decltype(zero);
    const GroupLayer<T> layer = layer_of<T>(features, weight, bias, slope);
    const Tensor workspace = new_workspace(features, group_moments_backward_workspace(layer));
    const GroupMomentsBackwardArguments<T> a{layer, total_gradient.const_data_ptr<double>(),
                                             products_gradient.const_data_ptr<double>(),
                                             gradients.pointers<T>(),
                                             workspace.mutable_data_ptr()};
    check(group_moments_backward(a, device.stream()), "group_moments_backward");
  });
  return {gradients.features, gradients.weight, gradients.bias};
}

}  // namespace
}  // namespace pcclust::cuda

STABLE_TORCH_LIBRARY_IMPL(pcclust, CUDA, m) {
  m.impl("group_moments", TORCH_BOX(&pcclust::cuda::forward));
  m.impl("group_moments_backward", TORCH_BOX(&pcclust::cuda::backward));
}
