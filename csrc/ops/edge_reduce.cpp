// pcclust::edge_reduce and its backward on the CPU; the schemas are in pcclust/ops/edge_reduce.py.
#include <algorithm>
#include <tuple>

#include "core/kernels.h"
#include "ops/neighbor_table.h"
#include "ops/tensors.h"

namespace pcclust {
namespace {

template <class T>
EdgeArguments<T> edges_of(const Tensor& projected, const Tensor& neighbors, const Tensor& starts,
                          const Tensor& sizes) {
  STD_TORCH_CHECK(projected.dim() == 3 && projected.size(1) == 2 && projected.is_contiguous() &&
                      projected.is_cpu(),
                  "projected must be a contiguous (R, 2, C) on the CPU");
  const Clouds<int64_t> clouds = neighbors_of(neighbors, projected.size(0), starts, sizes);
  return {projected.const_data_ptr<T>(), clouds.rows, clouds.starts, clouds.sizes,
          clouds.count, clouds.dims, projected.size(2)};
}

template <class T>
bool has_padding(const EdgeArguments<T>& e, int64_t rows) {
  for (int64_t cloud = 0; cloud < e.clouds; ++cloud) rows -= e.sizes[cloud];
  return rows > 0;
}

std::tuple<Tensor, Tensor, Tensor> forward(Tensor projected, Tensor neighbors, Tensor starts,
                                           Tensor sizes, Tensor sign, bool moments) {
  const int64_t rows = projected.size(0), channels = projected.size(2);
  Tensor maxima = torch::stable::new_empty(projected, {rows, channels});
  Tensor argmax = torch::stable::new_empty(projected, {rows, channels}, ScalarType::Int);
  Tensor sums = torch::stable::new_empty(projected, {2, channels}, ScalarType::Double);
  STD_TORCH_CHECK(sign.dim() == 1 && sign.is_cpu() && sign.is_contiguous() && sign.numel() == channels &&
                      sign.scalar_type() == projected.scalar_type(),
                  "sign must be (C,) of the dtype of projected");
  with_floating(projected, [&](auto zero) {
    using T = decltype(zero);
    const EdgeReduceArguments<T> a{
        .edges = edges_of<T>(projected, neighbors, starts, sizes),
        .sign = sign.const_data_ptr<T>(),
        .maxima = maxima.mutable_data_ptr<T>(),
        .argmax = argmax.mutable_data_ptr<int32_t>(),
        .moments = moments ? sums.mutable_data_ptr<double>() : nullptr,
    };
    if (has_padding(a.edges, rows)) {
      torch::stable::fill_(maxima, 0);
      torch::stable::fill_(argmax, -1);
    }
    if (!moments) torch::stable::fill_(sums, 0);
    kernels_of<T>().edge_reduce(a, torch_threads());
  });
  return {maxima, argmax, sums};
}

// Clears the rows that belong to no cloud.
template <class T>
void clear_padding(const EdgeArguments<T>& e, int64_t rows, T* gradient) {
  const int64_t width = 2 * e.channels;
  int64_t from = 0;
  for (int64_t cloud = 0; cloud < e.clouds; ++cloud) {
    std::fill(gradient + from * width, gradient + e.starts[cloud] * width, T(0));
    from = e.starts[cloud] + e.sizes[cloud];
  }
  std::fill(gradient + from * width, gradient + rows * width, T(0));
}

// Raises where a neighbour is no point of its cloud.
template <class T>
void check_argmax(const EdgeArguments<T>& e, const int32_t* argmax) {
  for (int64_t cloud = 0; cloud < e.clouds; ++cloud) {
    const int32_t* begin = argmax + e.starts[cloud] * e.channels;
    bool valid = true;
    for (int64_t i = 0; i < e.sizes[cloud] * e.channels; ++i) {
      valid &= begin[i] >= 0 && begin[i] < e.sizes[cloud];
    }
    STD_TORCH_CHECK(valid, "argmax holds positions outside of cloud ", cloud);
  }
}

// Writes the gradient of `projected`, which may be `projected` itself: the kernel reads all that it
// needs of a cloud in some channels before it writes there.
void backward_into(const Tensor& max_gradient, const Tensor& moment_gradient, const Tensor& projected,
                   const Tensor& neighbors, const Tensor& starts, const Tensor& sizes,
                   const Tensor& argmax, bool moments, Tensor& gradient) {
  const int64_t rows = projected.size(0), channels = projected.size(2);
  check_matrix(max_gradient, "max_gradient", projected.scalar_type(), rows, channels);
  check_matrix(moment_gradient, "moment_gradient", ScalarType::Double, 2, channels);
  check_matrix(argmax, "argmax", ScalarType::Int, rows, channels);
  with_floating(projected, [&](auto zero) {
    using T = decltype(zero);
    const EdgeReduceBackwardArguments<T> a{
        .edges = edges_of<T>(projected, neighbors, starts, sizes),
        .argmax = argmax.const_data_ptr<int32_t>(),
        .max_gradient = max_gradient.const_data_ptr<T>(),
        .moment_gradient = moments ? moment_gradient.const_data_ptr<double>() : nullptr,
        .gradient = gradient.mutable_data_ptr<T>(),
    };
    check_argmax(a.edges, a.argmax);
    kernels_of<T>().edge_reduce_backward(a, torch_threads());
    clear_padding(a.edges, rows, a.gradient);
  });
}

Tensor backward(Tensor max_gradient, Tensor moment_gradient, Tensor projected, Tensor neighbors,
                Tensor starts, Tensor sizes, Tensor argmax, bool moments) {
  Tensor gradient = torch::stable::empty_like(projected);
  backward_into(max_gradient, moment_gradient, projected, neighbors, starts, sizes, argmax, moments,
                gradient);
  return gradient;
}

void backward_in_place(Tensor max_gradient, Tensor moment_gradient, Tensor projected,
                       Tensor neighbors, Tensor starts, Tensor sizes, Tensor argmax, bool moments) {
  backward_into(max_gradient, moment_gradient, projected, neighbors, starts, sizes, argmax, moments,
                projected);
}

}  // namespace
}  // namespace pcclust

STABLE_TORCH_LIBRARY_IMPL(pcclust, CPU, m) {
  m.impl("edge_reduce", TORCH_BOX(&pcclust::forward));
  m.impl("edge_reduce_backward", TORCH_BOX(&pcclust::backward));
  m.impl("edge_reduce_backward_", TORCH_BOX(&pcclust::backward_in_place));
}
