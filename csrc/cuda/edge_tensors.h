// From tensors to the edges of kNN graphs, and from what kernels refused to an error.
#pragma once

#include "cuda/edge_rows.cuh"
#include "cuda/tensors.h"

namespace pcclust::cuda {

template <class T>
EdgeArguments<T> edges_of(const Tensor& projected, const Tensor& neighbors, const Tensor& starts,
                          const Tensor& sizes, const Tensor& refusal) {
  return {projected.const_data_ptr<T>(),
          neighbors.const_data_ptr<int64_t>(),
          starts.const_data_ptr<int64_t>(),
          sizes.const_data_ptr<int64_t>(),
          projected.size(0),
          starts.size(0),
          neighbors.size(1),
          projected.size(2),
          static_cast<Refusal*>(refusal.mutable_data_ptr())};
}

inline void check_edges(const Tensor& neighbors, const Tensor& starts, const Tensor& sizes,
                        const Tensor& rows) {
  check_tensor(neighbors, "neighbors", rows, ScalarType::Long, {rows.size(0), -1});
  STD_TORCH_CHECK(neighbors.size(1) >= 1, "neighbors must be (R, k)");
  check_clouds(starts, sizes, rows);
}

template <class T>
T element(const DeviceOf& device, const Tensor& tensor, int64_t at) {
  T value{};
  device.read(&value, tensor.const_data_ptr<T>() + at, sizeof value);
  return value;
}

// Waits for the kernels and raises what they refused, as the CPU's checks do beforehand.
inline void raise_refusal(const DeviceOf& device, const Tensor& refusal, const Tensor& neighbors,
                   const Tensor& starts, const Tensor& sizes) {
  Refusal found;
  if (!device.read(&found, refusal.const_data_ptr(), sizeof found)) return;
  const auto size_of = [&](int64_t cloud) { return element<int64_t>(device, sizes, cloud); };
  const auto start_of = [&](int64_t cloud) { return element<int64_t>(device, starts, cloud); };
  if (found.cloud != kNothingWrong) {
    const int64_t cloud = static_cast<int64_t>(found.cloud);
    STD_TORCH_CHECK(false, "cloud ", cloud, " of ", size_of(cloud), " points from row ",
                    start_of(cloud), " on does not lie inside the ", neighbors.size(0),
                    " rows and behind the cloud before it");
  }
  if (found.neighbor != kNothingWrong) {
    const int64_t at = static_cast<int64_t>(found.neighbor), row = at / neighbors.size(1);
    int64_t cloud = 0;
    while (start_of(cloud) + size_of(cloud) <= row) ++cloud;
    STD_TORCH_CHECK(false, "indices of point ", row - start_of(cloud), " of cloud ", cloud,
                    " hold ", element<int64_t>(device, neighbors, at), ", but the cloud has ",
                    size_of(cloud), " points");
  }
  STD_TORCH_CHECK(found.argmax == kNothingWrong, "argmax holds positions outside of cloud ",
                  static_cast<int64_t>(found.argmax));
}

inline Tensor new_refusal(const Tensor& like) { return new_workspace(like, sizeof(Refusal)); }

}  // namespace pcclust::cuda
