// kNN as the operator runs it, and through the grid however small the clouds.
#include "cuda/knn.cuh"

#include "search_call.h"

using namespace pcclust::cuda;

namespace pcclust::cuda {
template cudaError_t search_by(Way, const SearchArguments<float>&, cudaStream_t);
template cudaError_t search_by(Way, const SearchArguments<double>&, cudaStream_t);
}  // namespace pcclust::cuda

EMULATED_CALL(knn) {
  call.with_floating("points", [&](auto zero) {
    using T = decltype(zero);
    auto a = search_arguments<T>(call, false);
    a.workspace =
        call.workspace(knn_workspace<T>(a.points.row_count, a.points.count, a.points.dims, a.k));
    call.check(knn(a, call.stream()));
  });
}

EMULATED_CALL(knn_grid) {
  call.with_floating("points", [&](auto zero) {
    using T = decltype(zero);
    search_by_grid(call, search_arguments<T>(call, false));
  });
}

// As the operator runs it, with how many distances are measured.
EMULATED_CALL(knn_counted) {
  call.with_floating("points", [&](auto zero) {
    using T = decltype(zero);
    auto a = search_arguments<T>(call, false);
    a.workspace =
        call.workspace(knn_workspace<T>(a.points.row_count, a.points.count, a.points.dims, a.k));
    call.check(knn(a, call.stream()));
    *call.output<int64_t>("measured", {1}) = emulator::events();
  });
}

// Sums of more tiles than one block of begin_tiles_kernel has threads, without their cells.
EMULATED_CALL(begin_tiles) {
  const int64_t tiles = call.size("sums", 0);
  GridTables<float> tables{};
  tables.cells = tiles * kScanTile;
  tables.begins = static_cast<uint32_t*>(call.workspace((tables.cells + 1) * sizeof(uint32_t)));
  tables.tile_sums = reinterpret_cast<uint32_t*>(call.output<int32_t>("begins", {tiles}));
  call.check(cudaMemcpyAsync(tables.tile_sums, call.input<int32_t>("sums"), tiles * sizeof(int32_t),
                             cudaMemcpyDeviceToDevice, call.stream()));
  const dim3 threads(kGridThreads);
  call.check(launch(begin_tiles_kernel<float>, dim3(1), threads, 0, call.stream(), tables));
}
