// From torch's stable ABI to the kernels' plain arguments.
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/headeronly/util/Exception.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <thread>
#include <vector>

#include "core/arguments.h"
#include "core/parallel.h"
#include "ops/values.h"

namespace pcclust {

// Calls body(worker) on torch's own pool of threads, so that torch.set_num_threads rules here too.
inline constexpr auto run_workers = [](int64_t workers, FunctionRef<void(int64_t)> body) {
#ifdef __SANITIZE_THREAD__
  // The barriers of torch's pool are OpenMP's, which ThreadSanitizer does not see: it would take
  // every result for a race.
  std::vector<std::thread> others;
  for (int64_t worker = 1; worker < workers; ++worker) others.emplace_back([=] { body(worker); });
  body(0);
  for (std::thread& other : others) other.join();
#else
  torch::stable::parallel_for(0, workers, 1, [&](int64_t begin, int64_t end) {
    for (int64_t worker = begin; worker < end; ++worker) body(worker);
  });
#endif
};

inline Threads torch_threads() {
  static thread_local Interrupt interrupt;
  interrupt.begin();
  return {static_cast<int64_t>(torch::stable::get_num_threads()), run_workers, &interrupt};
}

// Raises unless it is a contiguous matrix on the CPU, of this dtype and size.
inline void check_matrix(const Tensor& tensor, const char* name, ScalarType dtype, int64_t rows,
                         int64_t columns) {
  STD_TORCH_CHECK(tensor.dim() == 2 && tensor.is_contiguous() && tensor.is_cpu() &&
                      tensor.scalar_type() == dtype && tensor.size(0) == rows &&
                      tensor.size(1) == columns,
                  name, " must be contiguous (", rows, ", ", columns, ") of the right dtype");
}

// Raises unless the clouds lie inside the rows one behind the other: whatever Python checked before,
// no call through torch.ops may read out of bounds or write a row twice.
template <class T>
Clouds<T> clouds_in(const T* data, int64_t rows, int64_t dims, const Tensor& starts,
                    const Tensor& sizes) {
  for (const Tensor* table : {&starts, &sizes}) {
    STD_TORCH_CHECK(table->dim() == 1 && table->is_contiguous() &&
                        table->scalar_type() == ScalarType::Long && table->is_cpu(),
                    "starts and sizes must be contiguous int64 on the CPU");
  }
  STD_TORCH_CHECK(starts.numel() == sizes.numel(), "as many starts as sizes are needed");
  const Clouds<T> clouds{data, dims, starts.const_data_ptr<int64_t>(),
                         sizes.const_data_ptr<int64_t>(), starts.numel()};
  const int64_t cloud = first_misplaced(clouds, rows);
  STD_TORCH_CHECK(cloud < 0, "cloud ", cloud, " of ", clouds.sizes[cloud], " points from row ",
                  clouds.starts[cloud], " on does not lie inside the ", rows,
                  " rows and behind the cloud before it");
  return clouds;
}

template <class T>
Clouds<T> clouds_of(const Tensor& rows, const Tensor& starts, const Tensor& sizes) {
  STD_TORCH_CHECK(rows.dim() == 2 && rows.is_contiguous() && rows.is_cpu(),
                  "rows must be a contiguous (R, D) on the CPU");
  return clouds_in(rows.const_data_ptr<T>(), rows.size(0), rows.size(1), starts, sizes);
}

// Raises where a number is not finite.
template <class T>
void check_finite(const T* values, int64_t count, const char* name) {
  bool finite = true;
  for (int64_t i = 0; i < count; ++i) {
    finite &= std::abs(values[i]) <= std::numeric_limits<T>::max();
  }
  STD_TORCH_CHECK(finite, name, " hold NaN or inf");
}

// Raises unless all points of the clouds, which have a dimension, are finite; padding may hold
// anything.
template <class T>
void check_points(const Clouds<T>& clouds) {
  STD_TORCH_CHECK(clouds.dims >= 1, "points need at least one dimension");
  for (int64_t cloud = 0; cloud < clouds.count; ++cloud) {
    const T* begin = clouds.rows + clouds.starts[cloud] * clouds.dims;
    check_finite(begin, clouds.sizes[cloud] * clouds.dims, "points");
  }
}

template <class T>
Clouds<T> points_of(const Tensor& rows, const Tensor& starts, const Tensor& sizes) {
  const Clouds<T> clouds = clouds_of<T>(rows, starts, sizes);
  check_points(clouds);
  return clouds;
}

}  // namespace pcclust
