// A scale and shift, LeakyReLU and pooling over segments of rows in one pass over memory.
//
// A warp takes up to 128 rows of a segment and 32 channels, a channel a lane, so every load is one
// coalesced stretch. Sums are made of 32 rows in working precision and go on in double; the pieces
// of a long segment are brought together in their order by a second kernel. So the bits are the
// same in every run and on every device. NaN stays, and the first of equals has the maximum.
//
// Per row and channel of float32: 4 bytes read once, a fused multiply-add and 8 operations; the
// slots of pieces are 0.28 bytes. For 32 clouds of 1024 rows, C = 1024: 134 MB, 40 µs at 3.35 TB/s,
// against 0.3 GFLOP, 5 µs: memory is the bound. 5120 warps with four loads of 128 bytes each have
// 2.6 MB on their way, about what that rate needs at a latency of 700 ns: 70 to 80 % are expected,
// and a third of it at C = 64, where the launches cost as much as the work.
#pragma once

#include "cuda/segments.cuh"

namespace pcclust::cuda {

template <class T>
struct SegmentPoolArguments {
  const T* values;  // (rows, channels)
  int64_t channels;
  const T* scale;   // (channels,)
  const T* shift;   // (channels,)
  T slope;
  Segments segments;
  T* maxima;        // (segments, channels), 0 without rows
  int32_t* argmax;  // (segments, channels) places in the segment, -1 without rows
  T* means;         // (segments, channels), 0 without rows
  T* slopes;        // (segments, channels) sums of what each row is multiplied by
  T* products;      // (segments, channels) and of that times its value
  void* workspace;  // segment_pool_workspace bytes
};

// What some rows come to in one channel.
template <class T>
struct Pool {
  T best;
  int32_t place;
  double y, slopes, products;
};

template <class T>
__device__ __forceinline__ T rise(T x, T slope) {
  return x > 0 ? T(1) : slope;
}

template <class T>
__device__ __forceinline__ Pool<T> pool_rows(const SegmentPoolArguments<T>& a, const Share& share) {
  const T scale = share.works ? __ldg(a.scale + share.channel) : T(0);
  const T shift = share.works ? __ldg(a.shift + share.channel) : T(0);
  Pool<T> pool{-infinity<T>(), static_cast<int32_t>(share.first), 0, 0, 0};
  for (int64_t begin = share.first; begin < share.end; begin += kWarp) {
    T y_sum = 0, slopes = 0, products = 0;
    for_each_row(a.segments, share, begin, [&](int64_t place, int64_t row) {
      if (!share.works) return;
      const T z = __ldg(a.values + row * a.channels + share.channel);
      const T x = fma(z, scale, shift), factor = rise(x, a.slope), y = x * factor;
      if (is_larger(y, pool.best)) {
        pool.best = y;
        pool.place = static_cast<int32_t>(place);
      }
      y_sum += y;
      slopes += factor;
      products = fma(factor, z, products);
    });
    pool.y += static_cast<double>(y_sum);
    pool.slopes += static_cast<double>(slopes);
    pool.products += static_cast<double>(products);
  }
  return pool;
}

template <class T>
__device__ __forceinline__ void store_pool(const SegmentPoolArguments<T>& a, int64_t segment,
                                           int64_t size, int64_t channel, const Pool<T>& pool) {
  const int64_t at = segment * a.channels + channel;
  a.maxima[at] = size == 0 ? T(0) : pool.best;
  a.argmax[at] = size == 0 ? -1 : pool.place;
  a.means[at] = size == 0 ? T(0) : static_cast<T>(pool.y / static_cast<double>(size));
  a.slopes[at] = static_cast<T>(pool.slopes);
  a.products[at] = static_cast<T>(pool.products);
}

template <class T>
__global__ void __launch_bounds__(kPieceThreads, 4)  // up to 64 registers, lest any is spilled
    pool_kernel(SegmentPoolArguments<T> a, int64_t chunks) {
  check_segments(a.segments);
  const Share share = find_share(a.segments, a.channels, chunks);
  if (share.segment < 0) return;
  const Pool<T> pool = pool_rows(a, share);
  if (!share.works) return;
  if (share.size <= kPieceRows) {
    store_pool(a, share.segment, share.size, share.channel, pool);
    return;
  }
  const int64_t slot = first_slot(share.start) + share.first / kPieceRows;
  static_cast<Pool<T>*>(a.workspace)[slot * a.channels + share.channel] = pool;
}

// Brings together the pieces of the long segments, a thread a channel.
template <class T>
__global__ void __launch_bounds__(kPieceThreads) join_kernel(SegmentPoolArguments<T> a) {
  const int64_t at = int64_t{blockIdx.x} * kPieceThreads + threadIdx.x;
  const int64_t segment = at / a.channels, channel = at % a.channels;
  if (segment >= a.segments.runs.count || !lies_right(a.segments, segment)) return;
  const Extent extent = extent_of(a.segments.runs, segment);
  if (extent.size <= kPieceRows) return;
  const int64_t pieces = ceil_divide<int64_t>(extent.size, kPieceRows);
  const Pool<T>* found =
      static_cast<const Pool<T>*>(a.workspace) + first_slot(extent.start) * a.channels + channel;
  Pool<T> pool = found[0];
  for (int64_t piece = 1; piece < pieces; ++piece) {
    const Pool<T> next = found[piece * a.channels];
    if (is_larger(next.best, pool.best)) {
      pool.best = next.best;
      pool.place = next.place;
    }
    pool.y += next.y;
    pool.slopes += next.slopes;
    pool.products += next.products;
  }
  store_pool(a, segment, extent.size, channel, pool);
}

template <class T>
size_t segment_pool_workspace(const Segments& segments, int64_t channels) {
  return sizeof(Pool<T>) * static_cast<size_t>(slot_count(segments.runs.row_count) * channels);
}

// Pools all segments. What is wrong with the input is in the refusal when the stream gets there.
template <class T>
cudaError_t segment_pool(const SegmentPoolArguments<T>& a, cudaStream_t stream) {
  cudaError_t error = cudaMemsetAsync(a.segments.refusal, 0xff, sizeof(SegmentRefusal), stream);
  if (error != cudaSuccess) return error;
  error = launch(pool_kernel<T>, share_blocks(a.segments, a.channels), kPieceThreads, 0, stream, a,
                 channel_chunks(a.channels));
  if (error != cudaSuccess) return error;
  return launch(join_kernel<T>, blocks_for(a.segments.runs.count * a.channels, kPieceThreads),
                kPieceThreads, 0, stream, a);
}

}  // namespace pcclust::cuda
