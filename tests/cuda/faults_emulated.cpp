// Kernels with one planted fault each, which the emulator must find.
#include "emulator/driver.h"
#include "cuda/platform.cuh"

using namespace pcclust::cuda;

namespace {

__global__ void missing_barrier(const int* in, int* out) {
  __shared__ int values[64];
  values[threadIdx.x] = in[threadIdx.x];
  out[threadIdx.x] = values[63 - threadIdx.x];
}

__global__ void shared_race(int* out) {
  __shared__ int last;
  last = static_cast<int>(threadIdx.x);
  __syncthreads();
  if (threadIdx.x == 0) out[0] = last;
}

// Thread 0 of each block adds to one place without an atomic.
__global__ void race_between_blocks(int* out) {
  if (threadIdx.x == 0) out[0] = out[0] + 1;
}

__global__ void read_races_with_write(int* out) {
  if (threadIdx.x == 40) out[0] = 1;
  if (threadIdx.x == 0 && out[0] == 7) out[1] = 1;
}

__global__ void atomic_races_with_plain(int* out) {
  if (threadIdx.x == 33) atomicAdd(out, 1);
  if (threadIdx.x == 0) out[0] = 5;
}

// A shuffle makes lanes meet, but does not order their memory.
__global__ void shuffle_is_no_barrier(int* out) {
  __shared__ int values[32];
  values[threadIdx.x] = static_cast<int>(threadIdx.x);
  const int other = __shfl_xor_sync(kAllLanes, 1, 1);
  out[threadIdx.x] = values[threadIdx.x ^ 1] + other;
}

__global__ void syncwarp_of_too_few(int* out) {
  __shared__ int values[32];
  values[threadIdx.x] = static_cast<int>(threadIdx.x);
  if (threadIdx.x < 16) __syncwarp(0xffffu);
  else __syncwarp(0xffff0000u);
  out[threadIdx.x] = values[31 - threadIdx.x];
}

template <class T>
__device__ __noinline__ T element(const T* values, unsigned at) {
  return values[at];
}

// In a template, as kernels are, and where the compiler cannot see how long the array is.
template <class T>
__global__ void beyond_static_shared(T* out) {
  __shared__ T values[32];
  values[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = element(values, threadIdx.x + static_cast<unsigned>(out[32]));
}

__global__ void beyond_dynamic_shared(int* out) {
  int* values = dynamic_shared<int>();
  values[threadIdx.x + 1] = 1;
  __syncthreads();
  out[threadIdx.x] = values[threadIdx.x + 1];
}

__global__ void beyond_global(int* out) { out[threadIdx.x + 33] = 1; }

__global__ void beyond_local(int* out) {
  int values[4] = {1, 2, 3, 4};
  __syncthreads();
  for (int i = 0; i <= out[32] - 28; ++i) values[i] += i;
  out[threadIdx.x] = values[out[32] & 3];
}

__global__ void divergent_barrier(int* out) {
  if (threadIdx.x < 32) __syncthreads();
  out[threadIdx.x] = 1;
}

__global__ void two_barriers(int* out) {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  out[threadIdx.x] = 1;
}

__global__ void shuffle_from_inactive_lane(int* out) {
  if (threadIdx.x < 8) {
    out[threadIdx.x] = __shfl_sync(0xffu, static_cast<int>(threadIdx.x), 9);
  }
}

__global__ void lane_never_arrives(int* out) {
  if (threadIdx.x < 31) out[threadIdx.x] = __shfl_xor_sync(kAllLanes, 1, 1);
}

__global__ void not_in_its_own_mask(int* out) {
  out[threadIdx.x] = __any_sync(0xffffu, 1);
}

__global__ void uninitialised_shared(int* out) {
  __shared__ int values[64];
  if (threadIdx.x < 32 && blockIdx.x == 0) values[threadIdx.x] = 1;
  __syncthreads();
  if (threadIdx.x < 32) out[32 * blockIdx.x + threadIdx.x] = values[threadIdx.x];
}

__global__ void uninitialised_dynamic_shared(int* out) {
  out[threadIdx.x] = dynamic_shared<int>()[threadIdx.x];
}

__global__ void uninitialised_global(const int* unwritten, int* out) {
  out[threadIdx.x] = unwritten[threadIdx.x];
}

__global__ void depends_on_order(int* out) {
  const int turn = atomicAdd(out + 99, 1);
  out[blockIdx.x] = turn;
}

__global__ void overflow(int* out) { out[threadIdx.x] = 0x7fffffff + out[threadIdx.x]; }

struct Size {
  unsigned grid = 1, block = 32;
  size_t shared = 0;
};

// Runs a kernel on 100 integers that are 1, 32 at position 32, 0 at 99.
void run(emulator::Call& call, void (*kernel)(int*), Size size) {
  int* out = call.output<int>("out", {100});
  call.check(cudaMemcpyAsync(out, call.input<int>("start"), 400, cudaMemcpyDeviceToDevice));
  call.check(launch(kernel, size.grid, size.block, size.shared, call.stream(), out));
}

}  // namespace

#define FAULT(name, ...) \
  EMULATED_CALL(name) { run(call, name, {__VA_ARGS__}); }
FAULT(shared_race, .block = 64)
FAULT(race_between_blocks, .grid = 2)
FAULT(read_races_with_write, .block = 64)
FAULT(atomic_races_with_plain, .block = 64)
FAULT(shuffle_is_no_barrier, )
FAULT(syncwarp_of_too_few, )
FAULT(beyond_static_shared, )
FAULT(beyond_dynamic_shared, .shared = 128)
FAULT(beyond_global, .block = 96)
FAULT(beyond_local, )
FAULT(divergent_barrier, .block = 64)
FAULT(two_barriers, .block = 64)
FAULT(shuffle_from_inactive_lane, )
FAULT(lane_never_arrives, )
FAULT(not_in_its_own_mask, )
FAULT(uninitialised_shared, .grid = 2)
FAULT(uninitialised_dynamic_shared, .shared = 128)
FAULT(depends_on_order, .grid = 3, .block = 1)
FAULT(overflow, )

EMULATED_CALL(missing_barrier) {
  int* out = call.output<int>("out", {100});
  call.check(launch(missing_barrier, 1, 64, 0, call.stream(), call.input<int>("start"), out));
}

EMULATED_CALL(uninitialised_global) {
  const int* unwritten = static_cast<const int*>(call.workspace(400));
  int* out = call.output<int>("out", {32});
  call.check(launch(uninitialised_global, 1, 32, 0, call.stream(), unwritten, out));
}

EMULATED_CALL(too_much_shared) { run(call, beyond_global, {.shared = 100 * 1024}); }
EMULATED_CALL(too_many_threads) { run(call, beyond_global, {.block = 1025}); }
