// From how many points the cells of a grid hold to where they begin: an exclusive sum in place, by
// tiles of cells, then over the tiles, then within them.
#pragma once

#include "cuda/grid.cuh"

namespace pcclust::cuda {

template <class T>
__global__ void __launch_bounds__(kGridThreads) sum_tiles_kernel(GridTables<T> tables) {
  __shared__ uint32_t sums[kGridThreads / kWarp];
  const int64_t first = blockIdx.x * kScanTile;
  uint32_t own = 0, total;
  for (int i = 0; i < kScanItems; ++i) {
    const int64_t cell = first + i * kGridThreads + threadIdx.x;
    if (cell < tables.cells) own += tables.begins[cell];
  }
  block_exclusive_sum<kGridThreads>(own, sums, total);
  if (threadIdx.x == 0) tables.tile_sums[blockIdx.x] = total;
}

// One block turns the sums of tiles into where they begin.
template <class T>
__global__ void __launch_bounds__(kGridThreads) begin_tiles_kernel(GridTables<T> tables) {
  __shared__ uint32_t sums[kGridThreads / kWarp];
  const int64_t tiles = ceil_divide(tables.cells, kScanTile);
  uint32_t before = 0, total;
  for (int64_t base = 0; base < tiles; base += kGridThreads) {
    const int64_t tile = base + threadIdx.x;
    const uint32_t own = tile < tiles ? tables.tile_sums[tile] : 0;
    const uint32_t begin = before + block_exclusive_sum<kGridThreads>(own, sums, total);
    if (tile < tiles) tables.tile_sums[tile] = begin;
    before += total;
  }
  if (threadIdx.x == 0) tables.begins[tables.cells] = before;
}

template <class T>
__global__ void __launch_bounds__(kGridThreads) begin_cells_kernel(GridTables<T> tables) {
  __shared__ uint32_t sums[kGridThreads / kWarp];
  const int64_t first = blockIdx.x * kScanTile;
  uint32_t before = tables.tile_sums[blockIdx.x], total;
  for (int i = 0; i < kScanItems; ++i) {
    const int64_t cell = first + i * kGridThreads + threadIdx.x;
    const uint32_t own = cell < tables.cells ? tables.begins[cell] : 0;
    const uint32_t begin = before + block_exclusive_sum<kGridThreads>(own, sums, total);
    if (cell < tables.cells) tables.begins[cell] = begin;
    before += total;
  }
}

// Builds the grids of all clouds.
template <class T>
cudaError_t build_grids(const Clouds<T>& clouds, const GridTables<T>& tables, cudaStream_t stream) {
  const dim3 threads(kGridThreads), rows = blocks_for(clouds.row_count, kGridThreads);
  const dim3 tiles = blocks_for(tables.cells, kScanTile);
  cudaError_t error = cudaSuccess;
  const auto run = [&](auto kernel, dim3 blocks, const auto&... arguments) {
    if (error == cudaSuccess) error = launch(kernel, blocks, threads, 0, stream, arguments...);
  };
  run(clear_kernel<T>, blocks_for(tables.cells + 1, kGridThreads), tables);
  run(fit_kernel<T>, blocks_for(clouds.count, 1), clouds, tables);
  run(count_kernel<T>, rows, clouds, tables);
  run(sum_tiles_kernel<T>, tiles, tables);
  run(begin_tiles_kernel<T>, dim3(1), tables);
  run(begin_cells_kernel<T>, tiles, tables);
  run(place_kernel<T>, rows, clouds, tables);
  return error;
}

}  // namespace pcclust::cuda
