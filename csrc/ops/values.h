// What every operator does with the values of tensors, on every device.
#pragma once

#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include <limits>
#include <optional>

namespace pcclust {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// Calls use(T{}) with the rows' floating type.
template <class Use>
void with_floating(const Tensor& rows, const Use& use) {
  if (rows.scalar_type() == ScalarType::Float) return use(float{});
  STD_TORCH_CHECK(rows.scalar_type() == ScalarType::Double, "rows must be float32 or float64");
  use(double{});
}

// The slope of a LeakyReLU: a number in float32 too.
inline void check_slope(double slope) {
  STD_TORCH_CHECK(slope >= 0 && slope <= std::numeric_limits<float>::max(),
                  "slope must be finite and not negative, got ", slope);
}

template <class T>
const T* data_or_null(const std::optional<Tensor>& tensor) {
  return tensor ? tensor->const_data_ptr<T>() : nullptr;
}

}  // namespace pcclust
