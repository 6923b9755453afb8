// pcclust::linear_pool on CUDA: a product of cuBLAS, and segment_pool's kernels, of which scale is 1
// and shift the bias; the schema is in pcclust/ops/linear_pool.py.
//
// Outputs are taken in runs, so that of the product no more is held than kHeld numbers, or 128
// outputs: they go from one kernel to the next, and few of them stay in the L2 (50 MB of an H100).
// Counted beside the product: 8 bytes for each of R C numbers. R = 32,768, C = 1024: 268 MB, 80 µs
// at 3.35 TB/s, against 17 GFLOP for D = 256, 256 µs at 67 TFLOP/s: the product is the bound.
#include <algorithm>
#include <optional>
#include <tuple>
#include <vector>

#include "cuda/row_product.h"
#include "cuda/segment_tensors.h"

namespace pcclust::cuda {
namespace {

constexpr int64_t kHeld = int64_t{1} << 26, kLeastOutputs = 128;

// Pools what the outputs [first, first + width) of the layer make of the rows x.
template <class T>
void pool_outputs(const Tensor& x, const Tensor& weight, const Tensor& bias, double slope, bool half,
                  const Segments& segments, int64_t first, int64_t width, const Tensor& maxima,
                  const Tensor& means, cudaStream_t stream) {
  const auto run_of = [&](Tensor all, int64_t dimension) {
    return torch::stable::narrow(all, dimension, first, width);
  };
  const Tensor ones = torch::stable::new_empty(bias, {width});
  torch::stable::fill_(ones, 1);
  const Tensor product = product_of<T>(x, run_of(weight, 0), half, stream);
  const auto pooled = pool_tensors<T>(product, ones, run_of(bias, 0), segments, slope, stream);
  Tensor to_maxima = run_of(maxima, 1), to_means = run_of(means, 1);
  torch::stable::copy_(to_maxima, pooled.maxima);
  torch::stable::copy_(to_means, pooled.means);
}

std::tuple<Tensor, Tensor> forward(std::vector<Tensor> parts, Tensor weight, Tensor bias,
                                   std::optional<Tensor> members, Tensor starts, Tensor sizes,
                                   double slope, bool half) {
  check_parts(parts, weight, bias, bias.size(0), slope, half);
  const SegmentTensors given(parts[0], members, starts, sizes);
  const int64_t channels = bias.size(0), rows = parts[0].size(0);
  const int64_t run = std::max(kLeastOutputs, kHeld / std::max<int64_t>(rows, 1));
  const DeviceOf device(bias);
  const Tensor maxima = torch::stable::new_empty(bias, {starts.size(0), channels});
  const Tensor means = torch::stable::new_empty(bias, {starts.size(0), channels});
  with_floating(bias, [&](auto zero) {
    using T = decltype(zero);
    const cudaStream_t stream = device.stream();
    const Tensor x = rows_of_parts<T>(parts, half, stream);
    for (int64_t first = 0; first == 0 || first < channels; first += run) {
      pool_outputs<T>(x, weight, bias, slope, half, given.segments(), first,
                      std::min(run, channels - first), maxima, means, stream);
    }
  });
  given.raise_refusal(device);
  return {maxima, means};
}

}  // namespace
}  // namespace pcclust::cuda

STABLE_TORCH_LIBRARY_IMPL(pcclust, CUDA, m) {
  m.impl("linear_pool", TORCH_BOX(&pcclust::cuda::forward));
}
