// From tensors to segments of rows, and from what kernels refused to an error.
#pragma once

#include <optional>

#include "cuda/segment_pool.cuh"
#include "cuda/tensors.h"

namespace pcclust::cuda {

// The tables of segments of some rows, and room for what is wrong with them.
class SegmentTensors {
 public:
  SegmentTensors(const Tensor& rows, const std::optional<Tensor>& members, const Tensor& starts,
                 const Tensor& sizes)
      : members_(members),
        starts_(starts),
        sizes_(sizes),
        rows_(rows.size(0)),
        listed_(members ? members->numel() : rows_) {
    check_clouds(starts, sizes, rows);
    if (members) check_tensor(*members, "members", rows, ScalarType::Long, {-1});
    refusal_ = new_workspace(rows, sizeof(SegmentRefusal));
  }

  Segments segments() const {
    return {{data_or_null<int64_t>(members_), listed_, 1, starts_.const_data_ptr<int64_t>(),
             sizes_.const_data_ptr<int64_t>(), starts_.size(0)},
            rows_,
            static_cast<SegmentRefusal*>(refusal_.mutable_data_ptr())};
  }

  // Waits for the kernels and raises what they refused, as the CPU's checks do beforehand.
  void raise_refusal(const DeviceOf& device) const {
    SegmentRefusal found;
    if (!device.read(&found, refusal_.const_data_ptr(), sizeof found)) return;
    STD_TORCH_CHECK(found.member == kNothingWrong, "members hold rows that there are not");
    if (found.segment != kNothingWrong) {
      const int64_t at = static_cast<int64_t>(found.segment);
      STD_TORCH_CHECK(false, "cloud ", at, " of ", entry(device, sizes_, at), " points from row ",
                      entry(device, starts_, at), " on does not lie inside the ", listed_,
                      " rows and behind the cloud before it");
    }
    STD_TORCH_CHECK(found.twice == kNothingWrong, "members hold a row twice");
    STD_TORCH_CHECK(found.argmax == kNothingWrong, "argmax holds places outside of a segment");
  }

 private:
  static int64_t entry(const DeviceOf& device, const Tensor& table, int64_t at) {
    int64_t value = 0;
    device.read(&value, table.const_data_ptr<int64_t>() + at, sizeof value);
    return value;
  }

  std::optional<Tensor> members_;
  Tensor starts_, sizes_, refusal_;
  int64_t rows_, listed_;
};

struct PooledTensors {
  Tensor maxima, argmax, means, slopes, products;
};

// Queues segment_pool, whose schema says what all of these are.
template <class T>
PooledTensors pool_tensors(const Tensor& values, const Tensor& scale, const Tensor& shift,
                           const Segments& segments, double slope, cudaStream_t stream) {
  const auto empty = [&](ScalarType dtype) {
    return torch::stable::new_empty(values, {segments.runs.count, values.size(1)}, dtype);
  };
  const ScalarType dtype = values.scalar_type();
  const PooledTensors pooled{empty(dtype), empty(ScalarType::Int), empty(dtype), empty(dtype),
                             empty(dtype)};
  const Tensor workspace =
      new_workspace(values, segment_pool_workspace<T>(segments, values.size(1)));
  const SegmentPoolArguments<T> a{.values = values.const_data_ptr<T>(),
                                  .channels = values.size(1),
                                  .scale = scale.const_data_ptr<T>(),
                                  .shift = shift.const_data_ptr<T>(),
                                  .slope = static_cast<T>(slope),
                                  .segments = segments,
                                  .maxima = pooled.maxima.mutable_data_ptr<T>(),
                                  .argmax = pooled.argmax.mutable_data_ptr<int32_t>(),
                                  .means = pooled.means.mutable_data_ptr<T>(),
                                  .slopes = pooled.slopes.mutable_data_ptr<T>(),
                                  .products = pooled.products.mutable_data_ptr<T>(),
                                  .workspace = workspace.mutable_data_ptr()};
  check(segment_pool(a, stream), "segment_pool");
  return pooled;
}

}  // namespace pcclust::cuda
