// kNN as the operator runs it, and through the grid however small the clouds.
#include "cuda/knn.cuh"

#include "search_call.h"

using namespace pcclust::cuda;

namespace pcclust::cuda {
template cudaError_t search_neighbors(const SearchArguments<float>&, cudaStream_t);
template cudaError_t search_neighbors(const SearchArguments<double>&, cudaStream_t);
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
    auto a = search_arguments<T>(call, false);
    const GridPlan<T> plan(a.points.row_count, a.points.count, a.k);
    a.workspace = call.workspace(plan.bytes());
    call.check(with_list(
        a.k, [&](auto registers) { return search_grid<T, registers>(a, call.stream()); }));
  });
}
