// The layer of group_moments and group_max, from tensors.
#pragma once

#include "core/kernels.h"
#include "ops/layer_tensors.h"
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
  return layer_from<GroupLayer<T>, T>(features, weight, bias, slope);
}

using LayerGradients = LayerTensors<GroupGradient>;

}  // namespace pcclust
