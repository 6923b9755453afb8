// pcclust::group_max and its backward on the CPU; the schemas are in pcclust/ops/group_max.py.
#include <tuple>

#include "core/kernels.h"
#include "ops/group_tensors.h"

namespace pcclust {
namespace {

std::tuple<Tensor, Tensor> forward(Tensor features, Tensor weight, Tensor bias, Tensor out_weight,
                                   double slope) {
  const int64_t groups = features.size(0), channels = out_weight.size(0);
  check_matrix(out_weight, "out_weight", features.scalar_type(), channels, weight.size(0));
  Tensor maxima = torch::stable::new_empty(features, {groups, channels});
  Tensor argmax = torch::stable::new_empty(features, {groups, channels}, ScalarType::Int);
  with_floating(features, [&](auto zero) {
    using T = decltype(zero);
    kernels_of<T>().group_max(
        {layer_of<T>(features, weight, bias, slope), out_weight.const_data_ptr<T>(), channels,
         maxima.mutable_data_ptr<T>(), argmax.mutable_data_ptr<int32_t>()},
        torch_threads());
  });
  return {maxima, argmax};
}

std::tuple<Tensor, Tensor, Tensor, Tensor> backward(Tensor max_gradient, Tensor argmax,
                                                    Tensor features, Tensor weight, Tensor bias,
                                                    Tensor out_weight, double slope, bool wanted) {
  const int64_t groups = features.size(0), channels = out_weight.size(0);
  check_matrix(out_weight, "out_weight", features.scalar_type(), channels, weight.size(0));
  check_matrix(max_gradient, "max_gradient", features.scalar_type(), groups, channels);
  check_matrix(argmax, "argmax", ScalarType::Int, groups, channels);
  const int32_t* members = argmax.const_data_ptr<int32_t>();
  bool valid = true;
  for (int64_t i = 0; i < groups * channels; ++i) {
    valid &= members[i] >= 0 && members[i] < features.size(1);
  }
  STD_TORCH_CHECK(valid, "argmax holds members that a group does not have");
  const LayerGradients gradients(features, weight, bias, wanted);
  Tensor out_gradient = torch::stable::empty_like(out_weight);
  with_floating(features, [&](auto zero) {
    using T = decltype(zero);
    kernels_of<T>().group_max_backward(
        {layer_of<T>(features, weight, bias, slope), out_weight.const_data_ptr<T>(), channels,
         members, max_gradient.const_data_ptr<T>(), gradients.pointers<T>(),
         out_gradient.mutable_data_ptr<T>()},
        torch_threads());
  });
  return {gradients.features, gradients.weight, gradients.bias, out_gradient};
}

}  // namespace
}  // namespace pcclust

STABLE_TORCH_LIBRARY_IMPL(pcclust, CPU, m) {
  m.impl("group_max", TORCH_BOX(&pcclust::forward));
  m.impl("group_max_backward", TORCH_BOX(&pcclust::backward));
}
