// pcclust::group_moments, group_peaks and their backward on the CPU; the schemas are in
// pcclust/ops/group_mlp.py.
#include <tuple>

#include "core/kernels.h"
#include "ops/tensors.h"

namespace pcclust {
namespace {

void check_vector(const Tensor& tensor, const char* name, ScalarType dtype, int64_t count) {
  STD_TORCH_CHECK(tensor.dim() == 1 && tensor.is_contiguous() && tensor.is_cpu() &&
                      tensor.scalar_type() == dtype && tensor.size(0) == count,
                  name, " must be contiguous (", count, ") of the right dtype");
}

template <class T>
GroupLayer<T> layer_of(const Tensor& features, const Tensor& weight, const Tensor& bias,
                       double slope) {
  STD_TORCH_CHECK(features.dim() == 3 && features.is_contiguous() && features.is_cpu() &&
                      features.size(1) >= 1,
                  "features must be a contiguous (groups, k, inputs) on the CPU with k >= 1");
  STD_TORCH_CHECK(slope >= 0, "slope must not be negative, got ", slope);
  check_matrix(weight, "weight", features.scalar_type(), weight.size(0), features.size(2));
  check_vector(bias, "bias", features.scalar_type(), weight.size(0));
  return {features.const_data_ptr<T>(), features.size(0), features.size(1), features.size(2),
          weight.const_data_ptr<T>(),   bias.const_data_ptr<T>(), weight.size(0),
          static_cast<T>(slope)};
}

// The gradients of features, weight and bias; that of features is empty unless it is wanted.
struct LayerGradients {
  Tensor features, weight, bias;
  LayerGradients(const Tensor& of_features, const Tensor& of_weight, const Tensor& of_bias,
                 bool wanted)
      : features(wanted ? torch::stable::empty_like(of_features)
                        : torch::stable::new_empty(of_features, {0})),
        weight(torch::stable::empty_like(of_weight)),
        bias(torch::stable::empty_like(of_bias)) {}
  template <class T>
  GroupGradient<T> pointers() const {
    return {features.numel() ? features.mutable_data_ptr<T>() : nullptr,
            weight.mutable_data_ptr<T>(), bias.mutable_data_ptr<T>()};
  }
};

std::tuple<Tensor, Tensor> moments(Tensor features, Tensor weight, Tensor bias, double slope) {
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

std::tuple<Tensor, Tensor, Tensor> moments_backward(Tensor total_gradient, Tensor products_gradient,
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

std::tuple<Tensor, Tensor> peaks(Tensor features, Tensor weight, Tensor bias, Tensor out_weight,
                                 double slope) {
  const int64_t groups = features.size(0), channels = out_weight.size(0);
  check_matrix(out_weight, "out_weight", features.scalar_type(), channels, weight.size(0));
  Tensor largest = torch::stable::new_empty(features, {groups, channels});
  Tensor chosen = torch::stable::new_empty(features, {groups, channels}, ScalarType::Int);
  with_floating(features, [&](auto zero) {
    using T = decltype(zero);
    kernels_of<T>().group_peaks(
        {layer_of<T>(features, weight, bias, slope), out_weight.const_data_ptr<T>(), channels,
         largest.mutable_data_ptr<T>(), chosen.mutable_data_ptr<int32_t>()},
        torch_threads());
  });
  return {largest, chosen};
}

std::tuple<Tensor, Tensor, Tensor, Tensor> peaks_backward(Tensor peak_gradient, Tensor chosen,
                                                          Tensor features, Tensor weight,
                                                          Tensor bias, Tensor out_weight,
                                                          double slope, bool wanted) {
  const int64_t groups = features.size(0), channels = out_weight.size(0);
  check_matrix(out_weight, "out_weight", features.scalar_type(), channels, weight.size(0));
  check_matrix(peak_gradient, "peak_gradient", features.scalar_type(), groups, channels);
  check_matrix(chosen, "chosen", ScalarType::Int, groups, channels);
  const int32_t* members = chosen.const_data_ptr<int32_t>();
  bool valid = true;
  for (int64_t i = 0; i < groups * channels; ++i) {
    valid &= members[i] >= 0 && members[i] < features.size(1);
  }
  STD_TORCH_CHECK(valid, "chosen holds members that a group does not have");
  const LayerGradients gradients(features, weight, bias, wanted);
  Tensor out_gradient = torch::stable::empty_like(out_weight);
  with_floating(features, [&](auto zero) {
    using T = decltype(zero);
    kernels_of<T>().group_peaks_backward(
        {layer_of<T>(features, weight, bias, slope), out_weight.const_data_ptr<T>(), channels,
         members, peak_gradient.const_data_ptr<T>(), gradients.pointers<T>(),
         out_gradient.mutable_data_ptr<T>()},
        torch_threads());
  });
  return {gradients.features, gradients.weight, gradients.bias, out_gradient};
}

}  // namespace
}  // namespace pcclust

STABLE_TORCH_LIBRARY_IMPL(pcclust, CPU, m) {
  m.impl("group_moments", TORCH_BOX(&pcclust::moments));
  m.impl("group_moments_backward", TORCH_BOX(&pcclust::moments_backward));
  m.impl("group_peaks", TORCH_BOX(&pcclust::peaks));
  m.impl("group_peaks_backward", TORCH_BOX(&pcclust::peaks_backward));
}
