// pcclust::edge_reduce and its backward on CUDA; the schemas are in pcclust/ops/edge_reduce.py.
#include "cuda/edge_reduce.cuh"

#include <tuple>

#include "cuda/edge_reduce_backward.cuh"
#include "cuda/tensors.h"

namespace pcclust::cuda {
namespace {

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

void check_edges(const Tensor& projected, const Tensor& neighbors, const Tensor& starts,
                 const Tensor& sizes) {
  check_tensor(projected, "projected", projected, projected.scalar_type(), {-1, 2, -1});
  check_tensor(neighbors, "neighbors", projected, ScalarType::Long, {projected.size(0), -1});
  STD_TORCH_CHECK(neighbors.size(1) >= 1, "neighbors must be (R, k)");
  check_clouds(starts, sizes, projected);
}

template <class T>
T element(const DeviceOf& device, const Tensor& tensor, int64_t at) {
  T value{};
  device.read(&value, tensor.const_data_ptr<T>() + at, sizeof value);
  return value;
}

// Waits for the kernels and raises what they refused, as the CPU's checks do beforehand.
void raise_refusal(const DeviceOf& device, const Tensor& refusal, const Tensor& neighbors,
                   const Tensor& starts, const Tensor& sizes) {
  Refusal found;
  if (!device.read(&found, refusal.const_data_ptr(), sizeof found)) return;
  const auto size_of = [&](int64_t cloud) { return element<int64_t>(device, sizes, cloud); };
  const auto start_of = [&](int64_t cloud) { return element<int64_t>(device, starts, cloud); };
  if (found.cloud != kNothingWrong) {
    const int64_t cloud = static_cast<int64_t>(found.cloud);
    STD_TORCH_CHECK(false, "cloud ", cloud, " of ", size_of(cloud), " points from row ",
                    start_of(cloud), " on does not fit ", neighbors.size(0), " rows");
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

Tensor new_refusal(const Tensor& like) { return new_workspace(like, sizeof(Refusal)); }

std::tuple<Tensor, Tensor, Tensor> forward(Tensor projected, Tensor neighbors, Tensor starts,
                                           Tensor sizes, Tensor sign, bool moments) {
  check_edges(projected, neighbors, starts, sizes);
  const int64_t rows = projected.size(0), channels = projected.size(2);
  check_tensor(sign, "sign", projected, projected.scalar_type(), {channels});
  const DeviceOf device(projected);
  const Tensor refusal = new_refusal(projected);
  Tensor maxima = torch::stable::new_empty(projected, {rows, channels});
  Tensor argmax = torch::stable::new_empty(projected, {rows, channels}, ScalarType::Int);
  Tensor sums = torch::stable::new_empty(projected, {2, channels}, ScalarType::Double);
  if (!moments) torch::stable::fill_(sums, 0);
  with_floating(projected, [&](auto zero) {
    using T = decltype(zero);
    EdgeReduceArguments<T> a{edges_of<T>(projected, neighbors, starts, sizes, refusal),
                             sign.const_data_ptr<T>(),
                             maxima.mutable_data_ptr<T>(),
                             argmax.mutable_data_ptr<int32_t>(),
                             moments ? sums.mutable_data_ptr<double>() : nullptr,
                             nullptr};
    const Tensor workspace = new_workspace(projected, edge_reduce_workspace(a));
    a.workspace = workspace.mutable_data_ptr();
    check(edge_reduce(a, device.stream()), "edge_reduce");
  });
  raise_refusal(device, refusal, neighbors, starts, sizes);
  return {maxima, argmax, sums};
}

Tensor backward(Tensor max_gradient, Tensor moment_gradient, Tensor projected, Tensor neighbors,
                Tensor starts, Tensor sizes, Tensor argmax, bool moments) {
  check_edges(projected, neighbors, starts, sizes);
  const int64_t rows = projected.size(0), channels = projected.size(2);
  const ScalarType dtype = projected.scalar_type();
  check_tensor(max_gradient, "max_gradient", projected, dtype, {rows, channels});
  check_tensor(moment_gradient, "moment_gradient", projected, ScalarType::Double, {2, channels});
  check_tensor(argmax, "argmax", projected, ScalarType::Int, {rows, channels});
  const DeviceOf device(projected);
  const Tensor refusal = new_refusal(projected);
  Tensor gradient = torch::stable::new_empty(projected, {rows, 2, channels});
  with_floating(projected, [&](auto zero) {
    using T = decltype(zero);
    const auto edges = edges_of<T>(projected, neighbors, starts, sizes, refusal);
    const Tensor workspace = new_workspace(projected, edge_reduce_backward_workspace(edges));
    const EdgeReduceBackwardArguments<T> a{
        edges,
        argmax.const_data_ptr<int32_t>(),
        max_gradient.const_data_ptr<T>(),
        moments ? moment_gradient.const_data_ptr<double>() : nullptr,
        gradient.mutable_data_ptr<T>(),
        workspace.mutable_data_ptr()};
    check(edge_reduce_backward(a, device.stream()), "edge_reduce_backward");
  });
  raise_refusal(device, refusal, neighbors, starts, sizes);
  return gradient;
}

}  // namespace
}  // namespace pcclust::cuda

STABLE_TORCH_LIBRARY_IMPL(pcclust, CUDA, m) {
  m.impl("edge_reduce", TORCH_BOX(&pcclust::cuda::forward));
  m.impl("edge_reduce_backward", TORCH_BOX(&pcclust::cuda::backward));
}
