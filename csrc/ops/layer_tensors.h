// The layer of group_moments and group_max, from tensors of any device.
#pragma once

#include <torch/csrc/stable/ops.h>

#include "ops/values.h"

namespace pcclust {

// Pointers into checked tensors, as the kernels take them (core/arguments.h, cuda/group_layer.cuh).
template <class Layer, class T>
Layer layer_from(const Tensor& features, const Tensor& weight, const Tensor& bias, double slope) {
  return {features.const_data_ptr<T>(), features.size(0), features.size(1), features.size(2),
          weight.const_data_ptr<T>(),   bias.const_data_ptr<T>(), weight.size(0),
          static_cast<T>(slope)};
}

// The gradients of features, weight and bias; that of features is empty unless it is wanted.
template <template <class> class Gradient>
struct LayerTensors {
  Tensor features, weight, bias;
  LayerTensors(const Tensor& of_features, const Tensor& of_weight, const Tensor& of_bias,
               bool wanted)
      : features(wanted ? torch::stable::empty_like(of_features)
                        : torch::stable::new_empty(of_features, {0})),
        weight(torch::stable::empty_like(of_weight)),
        bias(torch::stable::empty_like(of_bias)) {}
  template <class T>
  Gradient<T> pointers() const {
    return {features.numel() ? features.mutable_data_ptr<T>() : nullptr,
            weight.mutable_data_ptr<T>(), bias.mutable_data_ptr<T>()};
  }
};

}  // namespace pcclust
