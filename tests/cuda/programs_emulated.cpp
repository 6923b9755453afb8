// Correct kernels that use everything the emulator offers, as tests of the emulator itself.
#include "cuda/platform.cuh"
#include "cuda/warp.cuh"
#include "emulator/driver.h"

using namespace pcclust::cuda;

namespace {

// Sums each block's part: a tree in shared memory, then one warp.
template <class T>
__global__ void block_sums(const T* in, int64_t count, T* out) {
  T* partial = dynamic_shared<T>();
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  partial[threadIdx.x] = i < count ? in[i] : T(0);
  __syncthreads();
  for (unsigned step = blockDim.x / 2; step >= 32; step /= 2) {
    if (threadIdx.x < step) partial[threadIdx.x] += partial[threadIdx.x + step];
    __syncthreads();
  }
  if (threadIdx.x < 32) {
    const T sum = warp_sum(partial[threadIdx.x]);
    if (threadIdx.x == 0) out[blockIdx.x] = sum;
  }
}

// Inclusive scan of one block: in each warp by shuffles, then over warps.
__global__ void scan(const int* in, int* out) {
  __shared__ int warps[32];
  const int lane = lane_index(), warp = static_cast<int>(threadIdx.x) / kWarp;
  int value = in[threadIdx.x];
  for (int step = 1; step < kWarp; step *= 2) {
    const int before = __shfl_up_sync(kAllLanes, value, step);
    if (lane >= step) value += before;
  }
  if (lane == kWarp - 1) warps[warp] = value;
  __syncthreads();
  for (int w = 0; w < warp; ++w) value += warps[w];
  out[threadIdx.x] = value;
}

__global__ void histogram(const int* in, int64_t count, int bins, int* out) {
  int* counts = dynamic_shared<int>();
  for (int b = static_cast<int>(threadIdx.x); b < bins; b += static_cast<int>(blockDim.x)) {
    counts[b] = 0;
  }
  __syncthreads();
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count;
       i += int64_t{gridDim.x} * blockDim.x) {
    atomicAdd(&counts[in[i]], 1);
  }
  __syncthreads();
  for (int b = static_cast<int>(threadIdx.x); b < bins; b += static_cast<int>(blockDim.x)) {
    atomicAdd(&out[b], counts[b]);
  }
}

// Sorts 32 values in registers.
__global__ void bitonic(const float* in, float* out) {
  const int lane = lane_index();
  float value = in[lane];
  for (int size = 2; size <= kWarp; size *= 2) {
    for (int step = size / 2; step > 0; step /= 2) {
      const float other = __shfl_xor_sync(kAllLanes, value, step);
      const bool ascending = (lane & size) == 0, lower = (lane & step) == 0;
      value = ascending == lower ? min(value, other) : max(value, other);
    }
  }
  out[lane] = value;
}

// Sorts 32 values in shared memory, ordered by __syncwarp alone.
__global__ void bitonic_in_shared(const float* in, float* out) {
  __shared__ float values[32];
  const int lane = lane_index();
  values[lane] = in[lane];
  __syncwarp();
  for (int size = 2; size <= kWarp; size *= 2) {
    for (int step = size / 2; step > 0; step /= 2) {
      const int other = lane ^ step;
      if (lane < other) {
        const float a = values[lane], b = values[other];
        if ((a > b) == ((lane & size) == 0)) values[lane] = b, values[other] = a;
      }
      __syncwarp();
    }
  }
  out[lane] = values[lane];
}

// Votes, matches, reductions and masks of a part of a warp, one row of results each.
__global__ void warp_facts(const int* in, int* out) {
  const int lane = lane_index(), value = in[lane];
  int row = 0;
  const auto put = [&](int result) { out[32 * row++ + lane] = result; };
  put(static_cast<int>(__ballot_sync(kAllLanes, value > 0)));
  put(__any_sync(kAllLanes, value == in[5]));
  put(__all_sync(kAllLanes, value == in[5]));
  put(static_cast<int>(__match_any_sync(kAllLanes, value)));
  put(warp_sum(value));
  put(warp_min(value));
  put(warp_max(value));
  put(warp_argmin(Ranked<int, int>{value, lane}).index);
  put(warp_argmax(Ranked<int, int>{value, lane}).index);
  put(__shfl_sync(kAllLanes, value, lane + 3, 8));
  put(__shfl_down_sync(kAllLanes, value, 3, 16));
  int upper = -1;
  if (lane >= 16) upper = __shfl_xor_sync(0xffff0000u, value, 5);
  put(upper);
  put(__syncthreads_count(value > 0));
  put(__syncthreads_or(value > 0));
  put(__syncthreads_and(value > 0));
}

}  // namespace

EMULATED_CALL(block_sums) {
  call.with_floating("values", [&](auto zero) {
    using T = decltype(zero);
    const int64_t count = call.size("values", 0);
    const unsigned blocks = static_cast<unsigned>(ceil_divide<int64_t>(count, 128));
    call.check(launch(block_sums<T>, blocks, 128, 128 * sizeof(T), call.stream(),
                      call.input<T>("values"), count, call.output<T>("sums", {blocks})));
  });
}

EMULATED_CALL(scan) {
  const int64_t count = call.size("values", 0);
  call.check(launch(scan, 1, static_cast<unsigned>(count), 0, call.stream(),
                    call.input<int>("values"), call.output<int>("sums", {count})));
}

EMULATED_CALL(histogram) {
  const int bins = static_cast<int>(call.integer("bins"));
  int* counts = call.output<int>("counts", {bins});
  call.check(cudaMemsetAsync(counts, 0, sizeof(int) * bins, call.stream()));
  call.check(launch(histogram, 3, 96, sizeof(int) * bins, call.stream(), call.input<int>("values"),
                    call.size("values", 0), bins, counts));
}

EMULATED_CALL(bitonic) {
  const float* values = call.input<float>("values");
  call.check(launch(bitonic, 1, 32, 0, call.stream(), values, call.output<float>("one", {32})));
  call.check(launch(bitonic_in_shared, 1, 32, 0, call.stream(), values,
                    call.output<float>("two", {32})));
}

EMULATED_CALL(warp_facts) {
  call.check(launch(warp_facts, 1, 32, 0, call.stream(), call.input<int>("values"),
                    call.output<int>("facts", {15, 32})));
}
