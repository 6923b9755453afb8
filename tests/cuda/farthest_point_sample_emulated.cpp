#include "cuda/farthest_point_sample.cuh"
#include "search_call.h"

using namespace pcclust::cuda;

EMULATED_CALL(farthest_point_sample) {
  call.with_floating("points", [&](auto zero) {
    using T = decltype(zero);
    const Clouds<T> points = clouds_of<T>(call, "points", "starts", "sizes");
    const int64_t samples = call.integer("num_samples");
    call.check(farthest_point_sample(
        FarthestPointSampleArguments<T>{
            .points = points,
            .first = call.input<int64_t>("first"),
            .packed = call.integer("packed") != 0,
            .num_samples = samples,
            .indices = call.output<int64_t>("indices", {points.count, samples}),
            .workspace = call.workspace(
                farthest_point_sample_workspace<T>(points.row_count, points.count)),
        },
        call.stream()));
  });
}
