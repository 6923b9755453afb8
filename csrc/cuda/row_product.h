// The product of rows, which lie in several tensors side by side, with the weight of a layer.
#pragma once

#include <vector>

#include "cuda/row_parts.cuh"
#include "cuda/tensors.h"

namespace pcclust::cuda {

// Raises unless these are a layer on rows; returns how many columns all parts have.
inline int64_t check_parts(const std::vector<Tensor>& parts, const Tensor& weight,
                           const Tensor& bias, int64_t outputs, double slope, bool half) {
  STD_TORCH_CHECK(!parts.empty(), "parts must hold a tensor at least");
  STD_TORCH_CHECK(parts[0].dim() == 2, "parts must be (R, ...)");
  const ScalarType dtype = bias.scalar_type();
  check_tensor(bias, "bias", parts[0], dtype, {-1});
  int64_t inputs = 0;
  for (const Tensor& part : parts) {
    check_tensor(part, "parts", parts[0], dtype, {parts[0].size(0), -1});
    inputs += part.size(1);
  }
  check_tensor(weight, "weight", parts[0], dtype, {outputs, inputs});
  check_slope(slope);
  STD_TORCH_CHECK(!half || dtype == ScalarType::Float, "products of bfloat16 need float32");
  return inputs;
}

// Calls place(part, column) for a copy of each part, and returns the copies side by side.
template <class T, class Place>
Tensor side_by_side(const std::vector<Tensor>& parts, bool half, const Place& place) {
  int64_t inputs = 0, column = 0;
  for (const Tensor& part : parts) inputs += part.size(1);
  const int64_t rows = parts[0].size(0);
  Tensor out = torch::stable::new_empty(parts[0], {rows, inputs});
  for (const Tensor& part : parts) {
    place(part, RowPart<T>{part.const_data_ptr<T>(), rows, part.size(1),
                           out.mutable_data_ptr<T>(), inputs, column, half});
    column += part.size(1);
  }
  return out;
}

template <class T>
Tensor copied(const std::vector<Tensor>& parts, bool half, cudaStream_t stream) {
  return side_by_side<T>(parts, half, [&](const Tensor&, const RowPart<T>& part) {
    check(place_part(part, stream), "place_part");
  });
}

// rows · weightᵀ. With `half` the rows are rounded to bfloat16, and the weight is rounded here: a
// product of such numbers is exact in float32, and in TF32, if torch is allowed to use it.
template <class T>
Tensor product_of(const Tensor& rows, const Tensor& weight, bool half, cudaStream_t stream) {
  const Tensor factor = half ? copied<T>({weight}, true, stream) : weight;
  return torch::stable::matmul(rows, torch::stable::transpose(factor, 0, 1));
}

// The rows that the parts make, as factors of a product.
template <class T>
Tensor rows_of_parts(const std::vector<Tensor>& parts, bool half, cudaStream_t stream) {
  return parts.size() == 1 && !half ? parts[0] : copied<T>(parts, half, stream);
}

}  // namespace pcclust::cuda
