// What the operators of k-means check alike.
#pragma once

#include <algorithm>

#include "core/kernels.h"
#include "ops/tensors.h"

namespace pcclust {

// Products of 8-bit codes are summed in 32 bits; more dimensions would overflow.
constexpr int64_t kMostDims = 65536;

inline void check_rows(const Tensor& rows, const char* name) {
  STD_TORCH_CHECK(rows.dim() == 2 && rows.is_contiguous() && rows.is_cpu(), name,
                  " must be a contiguous matrix on the CPU");
  STD_TORCH_CHECK(rows.size(1) >= 1 && rows.size(1) <= kMostDims, name, " have ", rows.size(1),
                  " dimensions; 1 to ", kMostDims, " are possible");
}

// Raises unless `values` is a contiguous vector of `count` numbers of the dtype of `like`.
inline void check_vector(const Tensor& values, int64_t count, const Tensor& like,
                         const char* name) {
  STD_TORCH_CHECK(values.dim() == 1 && values.is_contiguous() && values.is_cpu() &&
                      values.numel() == count && values.scalar_type() == like.scalar_type(),
                  name, " must be ", count, " contiguous numbers of the points' dtype");
}

// Raises where a number is negative or NaN; inf stands for a square that overflowed.
template <class T>
void check_not_negative(const T* values, int64_t count, const char* name) {
  bool right = true;
  for (int64_t i = 0; i < count; ++i) right &= values[i] >= 0;
  STD_TORCH_CHECK(right, name, " hold negative numbers or NaN");
}

// Raises unless `labels` says for each of `count` points one of `clusters`.
inline void check_labels(const Tensor& labels, int64_t count, int64_t clusters) {
  STD_TORCH_CHECK(labels.dim() == 1 && labels.is_contiguous() && labels.is_cpu() &&
                      labels.numel() == count && labels.scalar_type() == ScalarType::Long,
                  "labels must be ", count, " contiguous int64");
  const int64_t* label = labels.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < count; ++i) {
    STD_TORCH_CHECK(label[i] >= 0 && label[i] < clusters, "label ", label[i], " of point ", i,
                    " is none of the ", clusters, " clusters");
  }
}

}  // namespace pcclust
