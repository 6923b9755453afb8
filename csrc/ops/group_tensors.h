// The layer of group_moments and group_max, from tensors.
#pragma once

#include "core/kernels.h"
#include "ops/tensors.h"

namespace pcclust {

inline void check_vector(const Tensor& tensor, const char* name, ScalarType dtype, int64_t count) {
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
  check_slope(slope);
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

}  // namespace pcclust
