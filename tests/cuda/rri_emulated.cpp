#include "cuda/rri.cuh"
#include "search_call.h"

using namespace pcclust::cuda;

EMULATED_CALL(rri) {
  call.with_floating("points", [&](auto zero) {
    using T = decltype(zero);
    const Clouds<T> clouds = clouds_of<T>(call, "points", "starts", "sizes");
    const int64_t rows = clouds.row_count, k = call.integer("k");
    const bool links = call.integer("links") != 0;
    call.check(rri(
        RriArguments<T>{
            .clouds = clouds,
            .centers = call.optional<T>("centers"),
            .k = k,
            .features = call.output<T>("features", {rows, k, 4}),
            .neighbors = links ? call.output<int64_t>("neighbors", {rows, k}) : nullptr,
            .successors = links ? call.output<int64_t>("successors", {rows, k}) : nullptr,
            .workspace = call.workspace(rri_workspace<T>(rows, clouds.count, k, links)),
        },
        call.stream()));
  });
}
