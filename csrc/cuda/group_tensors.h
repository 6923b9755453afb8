// The layer of group_moments and group_max, from tensors.
#pragma once

#include "cuda/group_pull.cuh"
#include "cuda/tensors.h"

namespace pcclust::cuda {

template <class T>
GroupLayer<T> layer_of(const Tensor& features, const Tensor& weight, const Tensor& bias,
                       double slope) {
  return {features.const_data_ptr<T>(), features.size(0), features.size(1), features.size(2),
          weight.const_data_ptr<T>(),   bias.const_data_ptr<T>(), weight.size(0),
          static_cast<T>(slope)};
}

inline void check_layer(const Tensor& features, const Tensor& weight, const Tensor& bias,
                        double slope) {
  const ScalarType dtype = features.scalar_type();
  check_tensor(features, "features", features, dtype, {-1, -1, -1});
  STD_TORCH_CHECK(features.size(1) >= 1 && features.size(1) <= INT32_MAX,
                  "a group needs at least one member, and less than 2^31");
  check_slope(slope);
  check_tensor(weight, "weight", features, dtype, {-1, features.size(2)});
  check_tensor(bias, "bias", features, dtype, {weight.size(0)});
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

}  // namespace pcclust::cuda
