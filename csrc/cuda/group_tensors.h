// The layer of group_moments and group_max, from tensors.
#pragma once

#include "cuda/group_pull.cuh"
#include "cuda/tensors.h"
#include "ops/layer_tensors.h"

namespace pcclust::cuda {

template <class T>
GroupLayer<T> layer_of(const Tensor& features, const Tensor& weight, const Tensor& bias,
                       double slope) {
  return layer_from<GroupLayer<T>, T>(features, weight, bias, slope);
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

using LayerGradients = LayerTensors<GroupGradient>;

}  // namespace pcclust::cuda
