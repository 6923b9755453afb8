// pcclust::scaled_leaky on the CPU; the schemas are in pcclust/ops/scaled_leaky.py.
#include <tuple>

#include "core/kernels.h"
#include "ops/tensors.h"

namespace pcclust {
namespace {

void check_given(const Tensor& values, const Tensor& scale, const Tensor& offset, double slope) {
  STD_TORCH_CHECK(values.dim() == 2 && values.is_contiguous() && values.is_cpu(),
                  "values must be a contiguous (R, C) on the CPU");
  for (const Tensor* each : {&scale, &offset}) {
    STD_TORCH_CHECK(each->dim() == 1 && each->is_contiguous() && each->is_cpu() &&
                        each->scalar_type() == values.scalar_type() &&
                        each->size(0) == values.size(1),
                    "scale and offset must be contiguous (", values.size(1),
                    ") of the dtype of values");
  }
  check_slope(slope);
}

Tensor forward(Tensor values, Tensor scale, Tensor offset, double slope) {
  check_given(values, scale, offset, slope);
  Tensor out = torch::stable::empty_like(values);
  with_floating(values, [&](auto zero) {
    using T = decltype(zero);
    kernels_of<T>().scaled_leaky({.values = values.const_data_ptr<T>(),
                                  .rows = values.size(0),
                                  .channels = values.size(1),
                                  .scale = scale.const_data_ptr<T>(),
                                  .offset = offset.const_data_ptr<T>(),
                                  .slope = static_cast<T>(slope),
                                  .out = out.mutable_data_ptr<T>()},
                                 torch_threads());
  });
  return out;
}

// Writes the gradient of `values`, which may be `values` itself; returns those of the others.
Tensor backward_into(const Tensor& to_out, const Tensor& values, const Tensor& scale,
                     const Tensor& offset, double slope, Tensor& gradient) {
  check_given(values, scale, offset, slope);
  check_matrix(to_out, "to_out", values.scalar_type(), values.size(0), values.size(1));
  Tensor sums = torch::stable::new_empty(values, {2, values.size(1)}, ScalarType::Double);
  with_floating(values, [&](auto zero) {
    using T = decltype(zero);
    kernels_of<T>().scaled_leaky_backward({.values = values.const_data_ptr<T>(),
                                           .rows = values.size(0),
                                           .channels = values.size(1),
                                           .scale = scale.const_data_ptr<T>(),
                                           .offset = offset.const_data_ptr<T>(),
                                           .slope = static_cast<T>(slope),
                                           .to_out = to_out.const_data_ptr<T>(),
                                           .gradient = gradient.mutable_data_ptr<T>(),
                                           .sums = sums.mutable_data_ptr<double>()},
                                          torch_threads());
  });
  return sums;
}

std::tuple<Tensor, Tensor> backward(Tensor to_out, Tensor values, Tensor scale, Tensor offset,
                                    double slope) {
  Tensor gradient = torch::stable::empty_like(values);
  Tensor sums = backward_into(to_out, values, scale, offset, slope, gradient);
  return {gradient, sums};
}

Tensor backward_in_place(Tensor to_out, Tensor values, Tensor scale, Tensor offset, double slope) {
  return backward_into(to_out, values, scale, offset, slope, values);
}

}  // namespace
}  // namespace pcclust

STABLE_TORCH_LIBRARY_IMPL(pcclust, CPU, m) {
  m.impl("scaled_leaky", TORCH_BOX(&pcclust::forward));
  m.impl("scaled_leaky_backward", TORCH_BOX(&pcclust::backward));
  m.impl("scaled_leaky_backward_", TORCH_BOX(&pcclust::backward_in_place));
}
