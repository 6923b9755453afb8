// Ball queries as the operator runs them, and through the grid however small the clouds.
#include "cuda/ball_query.cuh"

#include "search_call.h"

using namespace pcclust::cuda;

namespace {

// As search_tensors.h squares it.
template <class T>
T squared_radius(const emulator::Call& call) {
  const T radius = static_cast<T>(call.number("radius"));
  return radius * radius;
}

}  // namespace

EMULATED_CALL(ball_query) {
  call.with_floating("points", [&](auto zero) {
    using T = decltype(zero);
    auto a = search_arguments<T>(call, true);
    a.limit = squared_radius<T>(call);
    a.workspace = call.workspace(
        ball_query_workspace<T>(a.points.row_count, a.points.count, a.points.dims, a.k));
    call.check(ball_query(a, call.stream()));
  });
}

EMULATED_CALL(ball_query_grid) {
  call.with_floating("points", [&](auto zero) {
    using T = decltype(zero);
    auto a = search_arguments<T>(call, true);
    a.limit = squared_radius<T>(call);
    search_by_grid(call, a);
  });
}
