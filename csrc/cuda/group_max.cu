// pcclust::group_max and its backward on CUDA; the schemas are in pcclust/ops/group_max.py.
#include "cuda/group_max.cuh"

#include <tuple>

#include "cuda/group_max_backward.cuh"
#include "cuda/group_tensors.h"

namespace pcclust::cuda {
namespace {

std::tuple<Tensor, Tensor> forward(Tensor features, Tensor weight, Tensor bias, Tensor out_weight,
                                   double slope) {
  check_layer(features, weight, bias, slope);
  check_tensor(out_weight, "out_weight", features, features.scalar_type(), {-1, weight.size(0)});
  const int64_t groups = features.size(0), channels = out_weight.size(0);
  const DeviceOf device(features);
  Tensor maxima = torch::stable::new_empty(features, {groups, channels});
  Tensor argmax = torch::stable::new_empty(features, {groups, channels}, ScalarType::Int);
  with_floating(features, [&](auto zero) {
    using T = decltype(zero);
    const GroupMaxArguments<T> a{layer_of<T>(features, weight, bias, slope),
                                 out_weight.const_data_ptr<T>(), channels,
                                 maxima.mutable_data_ptr<T>(), argmax.mutable_data_ptr<int32_t>()};
    check(group_max(a, device.stream()), "group_max");
  });
  return {maxima, argmax};
}

std::tuple<Tensor, Tensor, Tensor, Tensor> backward(Tensor max_gradient, Tensor argmax,
                                                    Tensor features, Tensor weight, Tensor bias,
                                                    Tensor out_weight, double slope, bool wanted) {
  check_layer(features, weight, bias, slope);
  const ScalarType dtype = features.scalar_type();
  check_tensor(out_weight, "out_weight", features, dtype, {-1, weight.size(0)});
  const int64_t groups = features.size(0), channels = out_weight.size(0);
  check_tensor(max_gradient, "max_gradient", features, dtype, {groups, channels});
  check_tensor(argmax, "argmax", features, ScalarType::Int, {groups, channels});
  const DeviceOf device(features);
  const Tensor refusal = new_workspace(features, sizeof(unsigned long long));
  const LayerGradients gradients(features, weight, bias, wanted);
  Tensor out_gradient = torch::stable::empty_like(out_weight);
  with_floating(features, [&](auto zero) {
    using T = decltype(zero);
    const GroupLayer<T> layer = layer_of<T>(features, weight, bias, slope);
    const Tensor workspace = new_workspace(features, group_max_backward_workspace(layer, channels));
    const GroupMaxBackwardArguments<T> a{
        layer,
        out_weight.const_data_ptr<T>(),
        channels,
        argmax.const_data_ptr<int32_t>(),
        max_gradient.const_data_ptr<T>(),
        gradients.pointers<T>(),
        out_gradient.mutable_data_ptr<T>(),
        static_cast<unsigned long long*>(refusal.mutable_data_ptr()),
        workspace.mutable_data_ptr()};
    check(group_max_backward(a, device.stream()), "group_max_backward");
  });
  unsigned long long found = kNothingWrong;
  if (device.read(&found, refusal.const_data_ptr(), sizeof found)) {
    STD_TORCH_CHECK(found == kNothingWrong, "argmax holds members that a group does not have");
  }
  return {gradients.features, gradients.weight, gradients.bias, out_gradient};
}

}  // namespace
}  // namespace pcclust::cuda

STABLE_TORCH_LIBRARY_IMPL(pcclust, CUDA, m) {
  m.impl("group_max", TORCH_BOX(&pcclust::cuda::forward));
  m.impl("group_max_backward", TORCH_BOX(&pcclust::cuda::backward));
}
