// Rows that lie in several tensors side by side, and the layers on them, as the kernels take them.
#pragma once

#include <vector>

#include "core/kernels.h"
#include "ops/tensors.h"

namespace pcclust {

// Pointers into the parts; lives as long as the kernels need them.
template <class T>
struct PartsOf {
  std::vector<const T*> data;
  std::vector<int64_t> widths;
  int64_t rows = 0, inputs = 0;

  explicit PartsOf(const std::vector<Tensor>& parts) {
    STD_TORCH_CHECK(!parts.empty(), "parts must hold a tensor at least");
    rows = parts[0].dim() == 2 ? parts[0].size(0) : -1;
    for (const Tensor& part : parts) {
      check_matrix(part, "parts", parts[0].scalar_type(), rows, part.dim() == 2 ? part.size(1) : -1);
      data.push_back(part.const_data_ptr<T>());
      widths.push_back(part.size(1));
      inputs += part.size(1);
    }
  }
  RowParts<T> pointers() const {
    return {data.data(), widths.data(), static_cast<int64_t>(data.size())};
  }
};

// A layer of `outputs` outputs, with a bias for the first `biased` of them.
template <class T>
RowLayer<T> row_layer_of(const PartsOf<T>& parts, const Tensor& weight, const Tensor& bias,
                         int64_t outputs, int64_t biased, double slope, bool half) {
  check_matrix(weight, "weight", bias.scalar_type(), outputs, parts.inputs);
  STD_TORCH_CHECK(bias.dim() == 1 && bias.is_contiguous() && bias.is_cpu() && bias.size(0) == biased,
                  "bias must be contiguous (", biased, ")");
  check_slope(slope);
  STD_TORCH_CHECK(!half || sizeof(T) == sizeof(float), "products of bfloat16 need float32");
  return {weight.const_data_ptr<T>(), bias.const_data_ptr<T>(), parts.inputs, outputs,
          static_cast<T>(slope), half};
}

// Calls use(T{}) with the floating type that parts and bias share.
template <class Use>
void with_parts(const std::vector<Tensor>& parts, const Tensor& bias, const Use& use) {
  for (const Tensor& part : parts) {
    STD_TORCH_CHECK(part.scalar_type() == bias.scalar_type(), "parts and bias must have one dtype");
  }
  with_floating(bias, use);
}

}  // namespace pcclust
