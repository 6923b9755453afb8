// From torch's stable ABI to the launchers' plain arguments, for every <op>.cu.
#pragma once

#include <cuda_runtime.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/headeronly/util/Exception.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "ops/values.h"

namespace pcclust::cuda {

inline void check(cudaError_t error, const char* what) {
  STD_TORCH_CHECK(error == cudaSuccess, what, ": ", cudaGetErrorString(error));
}

// While it lives, a tensor's device is the current one; kernels go to the stream that is current
// there, as all of torch's do.
class DeviceOf {
 public:
  explicit DeviceOf(const Tensor& tensor) : guard_(index_of(tensor)) {
    void* stream = nullptr;
    STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(index_of(tensor), &stream));
    stream_ = static_cast<cudaStream_t>(stream);
  }

  cudaStream_t stream() const { return stream_; }

  // Copies few bytes from the device and waits for them. A stream that is being captured into a
  // graph cannot wait: nothing is copied, and false returned.
  bool read(void* to, const void* from, size_t bytes) const {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    check(cudaStreamIsCapturing(stream_, &status), "cudaStreamIsCapturing");
    if (status != cudaStreamCaptureStatusNone) return false;
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_), "cudaMemcpyAsync");
    check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
    return true;
  }

 private:
  static int32_t index_of(const Tensor& tensor) {
    STD_TORCH_CHECK(tensor.is_cuda(), "tensors must be on a CUDA device");
    return static_cast<int32_t>(tensor.get_device());
  }

  torch::stable::accelerator::DeviceGuard guard_;
  cudaStream_t stream_ = nullptr;
};

// Raises unless the tensor is contiguous, of this dtype and shape, and on the device of another;
// a size of -1 stands for any.
inline void check_tensor(const Tensor& tensor, const char* name, const Tensor& like,
                         ScalarType dtype, std::initializer_list<int64_t> shape) {
  bool fits = tensor.is_cuda() && tensor.get_device() == like.get_device() &&
              tensor.is_contiguous() && tensor.scalar_type() == dtype &&
              tensor.dim() == static_cast<int64_t>(shape.size());
  int64_t dimension = 0;
  for (int64_t size : shape) {
    fits = fits && (size < 0 || tensor.size(dimension) == size);
    ++dimension;
  }
  STD_TORCH_CHECK(fits, name, " has the wrong device, dtype or shape, or is not contiguous");
}

// Raises unless these are tables of clouds; returns how many clouds there are.
inline int64_t check_clouds(const Tensor& starts, const Tensor& sizes, const Tensor& like) {
  check_tensor(starts, "starts", like, ScalarType::Long, {-1});
  check_tensor(sizes, "sizes", like, ScalarType::Long, {starts.size(0)});
  return starts.size(0);
}

// Device memory for one launch, from torch's allocator.
inline Tensor new_workspace(const Tensor& like, size_t bytes) {
  return torch::stable::new_empty(like, {static_cast<int64_t>(bytes)}, ScalarType::Byte);
}

}  // namespace pcclust::cuda
