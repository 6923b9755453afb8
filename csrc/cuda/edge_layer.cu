// pcclust::edge_layer on CUDA: a product of cuBLAS, and the kernels of edge_layer.cuh around it; the
// schema is in pcclust/ops/edge_layer.py.
#include "cuda/edge_layer.cuh"

#include <optional>
#include <vector>

#include "cuda/edge_tensors.h"
#include "cuda/row_product.h"
#include "cuda/segment_tensors.h"

namespace pcclust::cuda {
namespace {

// The clouds of an EdgeConv, and what is computed of them.
struct EdgeLayerTensors {
  Tensor weight, bias, neighbors, starts, sizes, refusal;
  Tensor shift;  // (clouds, channels) double

  template <class T>
  EdgeArguments<T> edges(const T* projected) const {
    return {projected,
            neighbors.const_data_ptr<int64_t>(),
            starts.const_data_ptr<int64_t>(),
            sizes.const_data_ptr<int64_t>(),
            neighbors.size(0),
            starts.size(0),
            neighbors.size(1),
            bias.size(0),
            static_cast<Refusal*>(refusal.mutable_data_ptr())};
  }

  // The mean row of each cloud: the means of segment_pool, without scale, shift and slope.
  template <class T>
  Tensor centers(const Tensor& part, cudaStream_t stream) const {
    const SegmentTensors clouds(part, std::nullopt, starts, sizes);
    const Tensor scale = torch::stable::new_empty(part, {part.size(1)});
    const Tensor nothing = torch::stable::new_empty(part, {part.size(1)});
    torch::stable::fill_(scale, 1);
    torch::stable::fill_(nothing, 0);
    return pool_tensors<T>(part, scale, nothing, clouds.segments(), 1, stream).means;
  }

  template <class T>
  void place(const Tensor& tensor, const RowPart<T>& part, cudaStream_t stream) const {
    const Tensor means = centers<T>(tensor, stream);
    const T* center = means.const_data_ptr<T>();
    check(center_part(CenteredPart<T>{part, center, edges<T>(nullptr)}, stream), "center_part");
    const EdgeShift<T> a{weight.const_data_ptr<T>(), center,     starts.size(0), bias.size(0),
                         part.pitch,                 part.width, part.column,
                         shift.mutable_data_ptr<double>()};
    check(edge_shift(a, stream), "edge_shift");
  }
};

Tensor forward(std::vector<Tensor> parts, Tensor weight, Tensor bias, Tensor neighbors,
               Tensor starts, Tensor sizes, double slope) {
  check_parts(parts, weight, bias, 2 * bias.size(0), slope, false);
  check_edges(neighbors, starts, sizes, parts[0]);
  const DeviceOf device(bias);
  const int64_t rows = parts[0].size(0), channels = bias.size(0);
  const EdgeLayerTensors given{weight, bias, neighbors, starts, sizes, new_refusal(bias),
                               torch::stable::new_empty(bias, {starts.size(0), channels},
                                                        ScalarType::Double)};
  torch::stable::fill_(given.shift, 0);
  Tensor out = torch::stable::new_empty(bias, {rows, channels});
  with_floating(bias, [&](auto zero) {
    using T = decltype(zero);
    const cudaStream_t stream = device.stream();
    const Tensor x = side_by_side<T>(parts, false, [&](const Tensor& part, const RowPart<T>& to) {
      given.place<T>(part, to, stream);
    });
    const Tensor projected = product_of<T>(x, weight, false, stream);
    const EdgeLayerArguments<T> a{given.edges<T>(projected.const_data_ptr<T>()),
                                  bias.const_data_ptr<T>(),
                                  given.shift.const_data_ptr<double>(), static_cast<T>(slope),
                                  out.mutable_data_ptr<T>()};
    check(edge_layer(a, stream), "edge_layer");
  });
  raise_refusal(device, given.refusal, neighbors, starts, sizes);
  return out;
}

}  // namespace
}  // namespace pcclust::cuda

STABLE_TORCH_LIBRARY_IMPL(pcclust, CUDA, m) {
  m.impl("edge_layer", TORCH_BOX(&pcclust::cuda::forward));
}
