// pcclust::row_moments, segment_pool, segment_sums and segment_pull on the CPU; the schemas are in
// pcclust/ops, in segment_pool.py, segment_sums.py and segment_pull.py.
#include <optional>
#include <tuple>

#include "core/kernels.h"
#include "ops/segment_tables.h"
#include "ops/tensors.h"

namespace pcclust {
namespace {

void check_rows(const Tensor& values) {
  STD_TORCH_CHECK(values.dim() == 2 && values.is_contiguous() && values.is_cpu(),
                  "values must be a contiguous (R, C) on the CPU");
}

void check_channels(const Tensor& tensor, const char* name, const Tensor& values) {
  STD_TORCH_CHECK(tensor.dim() == 1 && tensor.is_contiguous() && tensor.is_cpu() &&
                      tensor.scalar_type() == values.scalar_type() &&
                      tensor.size(0) == values.size(1),
                  name, " must be contiguous (", values.size(1), ") of the dtype of values");
}

// Checks what all operators on rows in segments are given, and returns the segments.
Segments check_given(const Tensor& values, const Tensor& scale, const Tensor& shift,
                     const std::optional<Tensor>& members, const Tensor& starts,
                     const Tensor& sizes, double slope) {
  check_rows(values);
  check_channels(scale, "scale", values);
  check_channels(shift, "shift", values);
  check_slope(slope);
  return segments_of(members, starts, sizes, values.size(0));
}

Tensor moments(Tensor values) {
  check_rows(values);
  Tensor sums = torch::stable::new_empty(values, {2, values.size(1)}, ScalarType::Double);
  with_floating(values, [&](auto zero) {
    using T = decltype(zero);
    kernels_of<T>().row_moments({values.const_data_ptr<T>(), values.size(0), values.size(1),
                                 sums.mutable_data_ptr<double>()},
                                torch_threads());
  });
  return sums;
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> pool(Tensor values, Tensor scale, Tensor shift,
                                                        std::optional<Tensor> members,
                                                        Tensor starts, Tensor sizes, double slope) {
  const Segments segments = check_given(values, scale, shift, members, starts, sizes, slope);
  const auto empty = [&](ScalarType dtype) {
    return torch::stable::new_empty(values, {segments.count, values.size(1)}, dtype);
  };
  const ScalarType dtype = values.scalar_type();
  Tensor maxima = empty(dtype), argmax = empty(ScalarType::Int), means = empty(dtype);
  Tensor slopes = empty(dtype), products = empty(dtype);
  with_floating(values, [&](auto zero) {
    using T = decltype(zero);
    kernels_of<T>().segment_pool({.values = values.const_data_ptr<T>(),
                                  .channels = values.size(1),
                                  .scale = scale.const_data_ptr<T>(),
                                  .shift = shift.const_data_ptr<T>(),
                                  .slope = static_cast<T>(slope),
                                  .members = segments.members,
                                  .starts = segments.starts,
                                  .sizes = segments.sizes,
                                  .segments = segments.count,
                                  .maxima = maxima.mutable_data_ptr<T>(),
                                  .argmax = argmax.mutable_data_ptr<int32_t>(),
                                  .means = means.mutable_data_ptr<T>(),
                                  .slopes = slopes.mutable_data_ptr<T>(),
                                  .products = products.mutable_data_ptr<T>()},
                                 torch_threads());
  });
  return {maxima, argmax, means, slopes, products};
}

// Raises where an entry is no place in its segment, nor -1.
void check_places(const Tensor& argmax, const Segments& segments, int64_t channels) {
  check_matrix(argmax, "argmax", ScalarType::Int, segments.count, channels);
  const int32_t* places = argmax.const_data_ptr<int32_t>();
  bool valid = true;
  for (int64_t segment = 0; segment < segments.count; ++segment, places += channels) {
    const int64_t size = segments.sizes[segment];
    for (int64_t c = 0; c < channels; ++c) valid &= places[c] >= -1 && places[c] < size;
  }
  STD_TORCH_CHECK(valid, "argmax holds places outside of a segment");
}

Tensor sums(Tensor values, Tensor scale, Tensor shift, std::optional<Tensor> members, Tensor starts,
            Tensor sizes, Tensor argmax, Tensor to_maxima, double slope) {
  const Segments segments = check_given(values, scale, shift, members, starts, sizes, slope);
  check_places(argmax, segments, values.size(1));
  check_matrix(to_maxima, "to_maxima", values.scalar_type(), segments.count, values.size(1));
  Tensor totals = torch::stable::new_empty(values, {2, values.size(1)}, ScalarType::Double);
  with_floating(values, [&](auto zero) {
    using T = decltype(zero);
    kernels_of<T>().segment_sums({.values = values.const_data_ptr<T>(),
                                  .channels = values.size(1),
                                  .scale = scale.const_data_ptr<T>(),
                                  .shift = shift.const_data_ptr<T>(),
                                  .slope = static_cast<T>(slope),
                                  .members = segments.members,
                                  .starts = segments.starts,
                                  .sizes = segments.sizes,
                                  .segments = segments.count,
                                  .argmax = argmax.const_data_ptr<int32_t>(),
                                  .to_maxima = to_maxima.const_data_ptr<T>(),
                                  .sums = totals.mutable_data_ptr<double>()},
                                 torch_threads());
  });
  return totals;
}

// Writes the gradient of `values`, which may be `values` itself where every row is in a segment: the
// kernel reads each number before it writes there.
void pull_into(const Tensor& values, const Tensor& scale, const Tensor& shift,
               const std::optional<Tensor>& members, const Tensor& starts, const Tensor& sizes,
               const Tensor& argmax, const Tensor& to_maxima, const Tensor& to_rows,
               const Tensor& linear, const Tensor& constant, double slope, bool in_place,
               Tensor& gradient) {
  const Segments segments = check_given(values, scale, shift, members, starts, sizes, slope);
  check_channels(linear, "linear", values);
  check_channels(constant, "constant", values);
  check_listed_once(segments, values.size(0));
  check_places(argmax, segments, values.size(1));
  const ScalarType dtype = values.scalar_type();
  check_matrix(to_maxima, "to_maxima", dtype, segments.count, values.size(1));
  check_matrix(to_rows, "to_rows", dtype, segments.count, values.size(1));
  if (segments.covered < values.size(0)) {
    STD_TORCH_CHECK(!in_place, "every row must be in a segment");
    torch::stable::fill_(gradient, 0);
  }
  with_floating(values, [&](auto zero) {
    using T = decltype(zero);
    kernels_of<T>().segment_pull({.values = values.const_data_ptr<T>(),
                                  .channels = values.size(1),
                                  .scale = scale.const_data_ptr<T>(),
                                  .shift = shift.const_data_ptr<T>(),
                                  .slope = static_cast<T>(slope),
                                  .members = segments.members,
                                  .starts = segments.starts,
                                  .sizes = segments.sizes,
                                  .segments = segments.count,
                                  .argmax = argmax.const_data_ptr<int32_t>(),
                                  .to_maxima = to_maxima.const_data_ptr<T>(),
                                  .to_rows = to_rows.const_data_ptr<T>(),
                                  .linear = linear.const_data_ptr<T>(),
                                  .constant = constant.const_data_ptr<T>(),
                                  .gradient = gradient.mutable_data_ptr<T>()},
                                 torch_threads());
  });
}

Tensor pull(Tensor values, Tensor scale, Tensor shift, std::optional<Tensor> members, Tensor starts,
            Tensor sizes, Tensor argmax, Tensor to_maxima, Tensor to_rows, Tensor linear,
            Tensor constant, double slope) {
  Tensor gradient = torch::stable::empty_like(values);
  pull_into(values, scale, shift, members, starts, sizes, argmax, to_maxima, to_rows, linear,
            constant, slope, false, gradient);
  return gradient;
}

void pull_in_place(Tensor values, Tensor scale, Tensor shift, std::optional<Tensor> members,
                   Tensor starts, Tensor sizes, Tensor argmax, Tensor to_maxima, Tensor to_rows,
                   Tensor linear, Tensor constant, double slope) {
  pull_into(values, scale, shift, members, starts, sizes, argmax, to_maxima, to_rows, linear,
            constant, slope, true, values);
}

}  // namespace
}  // namespace pcclust

STABLE_TORCH_LIBRARY_IMPL(pcclust, CPU, m) {
  m.impl("row_moments", TORCH_BOX(&pcclust::moments));
  m.impl("segment_pool", TORCH_BOX(&pcclust::pool));
  m.impl("segment_sums", TORCH_BOX(&pcclust::sums));
  m.impl("segment_pull", TORCH_BOX(&pcclust::pull));
  m.impl("segment_pull_", TORCH_BOX(&pcclust::pull_in_place));
}
