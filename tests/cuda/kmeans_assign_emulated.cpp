#include "cuda/kmeans_assign.cuh"
#include "emulator/driver.h"

using namespace pcclust::cuda;

EMULATED_CALL(kmeans_assign) {
  call.with_floating("points", [&](auto zero) {
    using T = decltype(zero);
    const int64_t count = call.size("points", 0);
    call.check(kmeans_assign(
        KmeansAssignArguments<T>{
            .points = call.input<T>("points"),
            .count = count,
            .dims = call.size("points", 1),
            .centers = call.input<T>("centers"),
            .center_count = call.size("centers", 0),
            .labels = call.output<int64_t>("labels", {count}),
            .distances = call.output<T>("distances", {count}),
        },
        call.stream()));
  });
}
