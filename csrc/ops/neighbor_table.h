// The neighbours of points as positions in their clouds, checked: kernels do not look.
#pragma once

#include "ops/tensors.h"

namespace pcclust {

// Raises where a neighbour is no point of its cloud.
inline void check_neighbors(const Clouds<int64_t>& clouds) {
  for (int64_t cloud = 0; cloud < clouds.count; ++cloud) {
    const int64_t* begin = clouds.rows + clouds.starts[cloud] * clouds.dims;
    const int64_t count = clouds.sizes[cloud] * clouds.dims;
    const uint64_t size = static_cast<uint64_t>(clouds.sizes[cloud]);
    bool valid = true;
    for (int64_t i = 0; i < count; ++i) valid &= static_cast<uint64_t>(begin[i]) < size;
    for (int64_t i = 0; !valid && i < count; ++i) {
      STD_TORCH_CHECK(static_cast<uint64_t>(begin[i]) < size, "indices of point ", i / clouds.dims,
                      " of cloud ", cloud, " hold ", begin[i], ", but the cloud has ", size,
                      " points");
    }
  }
}

// The neighbours' rows stand for the clouds' points, so that their checks serve here too.
inline Clouds<int64_t> neighbors_of(const Tensor& neighbors, int64_t rows, const Tensor& starts,
                                    const Tensor& sizes) {
  STD_TORCH_CHECK(neighbors.dim() == 2 && neighbors.size(1) >= 1, "neighbors must be (R, k)");
  check_matrix(neighbors, "neighbors", ScalarType::Long, rows, neighbors.size(1));
  const Clouds<int64_t> clouds = clouds_of<int64_t>(neighbors, starts, sizes);
  check_neighbors(clouds);
  return clouds;
}

}  // namespace pcclust
