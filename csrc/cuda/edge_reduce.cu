// pcclust::edge_reduce and its backward on CUDA; the schemas are in pcclust/ops/edge_reduce.py.
#include "cuda/edge_reduce.cuh"

#include <tuple>

#include "cuda/edge_reduce_backward.cuh"
#include "cuda/edge_tensors.h"

namespace pcclust::cuda {
namespace {

std::tuple<Tensor, Tensor, Tensor> forward(Tensor projected, Tensor neighbors, Tensor starts,
                                           Tensor sizes, Tensor sign, bool moments) {
  check_tensor(projected, "projected", projected, projected.scalar_type(), {-1, 2, -1});
  check_edges(neighbors, starts, sizes, projected);
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
  check_tensor(projected, "projected", projected, projected.scalar_type(), {-1, 2, -1});
  check_edges(neighbors, starts, sizes, projected);
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
