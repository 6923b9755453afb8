// From tensors to clouds, for every <op>.cu that takes points, starts and sizes.
#pragma once

#include "cuda/search.cuh"
#include "cuda/tensors.h"

namespace pcclust::cuda {

inline void check_rows(const Tensor& rows, const char* name, const Tensor& like) {
  check_tensor(rows, name, like, like.scalar_type(), {-1, like.size(1)});
  STD_TORCH_CHECK(rows.size(0) <= kMostRows, name, " has ", rows.size(0),
                  " rows; one call takes at most ", kMostRows);
}

// Raises unless these are rows of points and tables of their clouds; returns how many clouds.
inline int64_t check_points(const Tensor& points, const Tensor& starts, const Tensor& sizes) {
  STD_TORCH_CHECK(points.dim() == 2 && points.size(1) >= 1, "points must be (R, D)");
  check_rows(points, "points", points);
  return check_clouds(starts, sizes, points);
}

template <class T>
Clouds<T> clouds_of(const Tensor& rows, const Tensor& starts, const Tensor& sizes) {
  return {rows.const_data_ptr<T>(),        rows.size(0),
          rows.size(1),                    starts.const_data_ptr<int64_t>(),
          sizes.const_data_ptr<int64_t>(), starts.numel()};
}

}  // namespace pcclust::cuda
