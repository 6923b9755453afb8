// pcclust::row_moments, segment_pool and segment_pull on CUDA; the schemas are in
// pcclust/ops/segment_pool.py.
#include "cuda/segment_pool.cuh"

#include <optional>
#include <tuple>

#include "cuda/row_moments.cuh"
#include "cuda/segment_pull.cuh"
#include "cuda/segment_tensors.h"

namespace pcclust::cuda {
namespace {

Tensor moments(Tensor values) {
  check_tensor(values, "values", values, values.scalar_type(), {-1, -1});
  const int64_t rows = values.size(0), channels = values.size(1);
  const DeviceOf device(values);
  Tensor sums = torch::stable::new_empty(values, {2, channels}, ScalarType::Double);
  const Tensor workspace = new_workspace(values, row_moments_workspace(rows, channels));
  with_floating(values, [&](auto zero) {
    using T = decltype(zero);
    const RowMomentsArguments<T> a{values.const_data_ptr<T>(), rows, channels,
                                   sums.mutable_data_ptr<double>(), workspace.mutable_data_ptr()};
    check(row_moments(a, device.stream()), "row_moments");
  });
  return sums;
}

void check_pool(const Tensor& values, const Tensor& scale, const Tensor& shift, double slope) {
  check_tensor(values, "values", values, values.scalar_type(), {-1, -1});
  check_tensor(scale, "scale", values, values.scalar_type(), {values.size(1)});
  check_tensor(shift, "shift", values, values.scalar_type(), {values.size(1)});
  check_slope(slope);
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> pool(Tensor values, Tensor scale, Tensor shift,
                                                        std::optional<Tensor> members,
                                                        Tensor starts, Tensor sizes, double slope) {
  check_pool(values, scale, shift, slope);
  const SegmentTensors given(values, members, starts, sizes);
  const DeviceOf device(values);
  std::optional<PooledTensors> pooled;
  with_floating(values, [&](auto zero) {
    using T = decltype(zero);
    pooled = pool_tensors<T>(values, scale, shift, given.segments(), slope, device.stream());
  });
  given.raise_refusal(device);
  return {pooled->maxima, pooled->argmax, pooled->means, pooled->slopes, pooled->products};
}

Tensor pull(Tensor values, Tensor scale, Tensor shift, std::optional<Tensor> members, Tensor starts,
            Tensor sizes, Tensor argmax, Tensor to_maxima, Tensor to_rows, Tensor linear,
            Tensor constant, double slope) {
  check_pool(values, scale, shift, slope);
  const int64_t segments = starts.size(0), channels = values.size(1);
  const ScalarType dtype = values.scalar_type();
  check_tensor(argmax, "argmax", values, ScalarType::Int, {segments, channels});
  check_tensor(to_maxima, "to_maxima", values, dtype, {segments, channels});
  check_tensor(to_rows, "to_rows", values, dtype, {segments, channels});
  check_tensor(linear, "linear", values, dtype, {channels});
  check_tensor(constant, "constant", values, dtype, {channels});
  const SegmentTensors given(values, members, starts, sizes);
  const DeviceOf device(values);
  Tensor gradient = torch::stable::empty_like(values);
  const Tensor workspace = new_workspace(values, segment_pull_workspace(values.size(0)));
  with_floating(values, [&](auto zero) {
    using T = decltype(zero);
    const SegmentPullArguments<T> a{.values = values.const_data_ptr<T>(),
                                    .channels = channels,
                                    .scale = scale.const_data_ptr<T>(),
                                    .shift = shift.const_data_ptr<T>(),
                                    .slope = static_cast<T>(slope),
                                    .segments = given.segments(),
                                    .argmax = argmax.const_data_ptr<int32_t>(),
                                    .to_maxima = to_maxima.const_data_ptr<T>(),
                                    .to_rows = to_rows.const_data_ptr<T>(),
                                    .linear = linear.const_data_ptr<T>(),
                                    .constant = constant.const_data_ptr<T>(),
                                    .gradient = gradient.mutable_data_ptr<T>(),
                                    .workspace = workspace.mutable_data_ptr()};
    check(segment_pull(a, device.stream()), "segment_pull");
  });
  given.raise_refusal(device);
  return gradient;
}

}  // namespace
}  // namespace pcclust::cuda

STABLE_TORCH_LIBRARY_IMPL(pcclust, CUDA, m) {
  m.impl("row_moments", TORCH_BOX(&pcclust::cuda::moments));
  m.impl("segment_pool", TORCH_BOX(&pcclust::cuda::pool));
  m.impl("segment_pull", TORCH_BOX(&pcclust::cuda::pull));
}
