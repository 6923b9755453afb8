#include "cuda/edge_reduce.cuh"

#include "cuda/edge_reduce_backward.cuh"
#include "emulator/driver.h"

using namespace pcclust::cuda;

namespace {

template <class T>
EdgeArguments<T> edges_of(emulator::Call& call) {
  return {call.input<T>("projected"),
          call.input<int64_t>("neighbors"),
          call.input<int64_t>("starts"),
          call.input<int64_t>("sizes"),
          call.size("projected", 0),
          call.size("starts", 0),
          call.size("neighbors", 1),
          call.size("projected", 2),
          reinterpret_cast<Refusal*>(call.output<int64_t>("refusal", {3}))};
}

}  // namespace

EMULATED_CALL(edge_reduce) {
  call.with_floating("projected", [&](auto zero) {
    using T = decltype(zero);
    const EdgeArguments<T> edges = edges_of<T>(call);
    EdgeReduceArguments<T> a{edges, call.input<T>("sign"),
                             call.output<T>("maxima", {edges.rows, edges.channels}),
                             call.output<int32_t>("argmax", {edges.rows, edges.channels}),
                             nullptr, nullptr};
    if (call.integer("moments")) a.moments = call.output<double>("sums", {2, edges.channels});
    a.workspace = call.workspace(edge_reduce_workspace(a));
    call.check(edge_reduce(a, call.stream()));
  });
}

EMULATED_CALL(edge_reduce_backward) {
  call.with_floating("projected", [&](auto zero) {
    using T = decltype(zero);
    const EdgeArguments<T> edges = edges_of<T>(call);
    call.check(edge_reduce_backward(
        EdgeReduceBackwardArguments<T>{
            edges, call.input<int32_t>("argmax"), call.input<T>("max_gradient"),
            call.optional<double>("moment_gradient"),
            call.output<T>("gradient", {edges.rows, 2, edges.channels}),
            call.workspace(edge_reduce_backward_workspace(edges))},
        call.stream()));
  });
}
