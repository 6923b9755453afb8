#include "cuda/segment_pool.cuh"

#include "cuda/row_moments.cuh"
#include "cuda/segment_pull.cuh"
#include "segment_call.h"

using namespace pcclust::cuda;

EMULATED_CALL(row_moments) {
  call.with_floating("values", [&](auto zero) {
    using T = decltype(zero);
    const int64_t rows = call.size("values", 0), channels = call.size("values", 1);
    call.check(row_moments(
        RowMomentsArguments<T>{call.input<T>("values"), rows, channels,
                               call.output<double>("moments", {2, channels}),
                               call.workspace(row_moments_workspace(rows, channels))},
        call.stream()));
  });
}

EMULATED_CALL(segment_pool) {
  call.with_floating("values", [&](auto zero) {
    using T = decltype(zero);
    const Segments segments = segments_of(call, call.size("values", 0));
    const int64_t count = segments.runs.count, channels = call.size("values", 1);
    call.check(segment_pool(
        SegmentPoolArguments<T>{
            .values = call.input<T>("values"),
            .channels = channels,
            .scale = call.input<T>("scale"),
            .shift = call.input<T>("shift"),
            .slope = static_cast<T>(call.number("slope")),
            .segments = segments,
            .maxima = call.output<T>("maxima", {count, channels}),
            .argmax = call.output<int32_t>("argmax", {count, channels}),
            .means = call.output<T>("means", {count, channels}),
            .slopes = call.output<T>("slopes", {count, channels}),
            .products = call.output<T>("products", {count, channels}),
            .workspace = call.workspace(segment_pool_workspace<T>(segments, channels)),
        },
        call.stream()));
  });
}

EMULATED_CALL(segment_pull) {
  call.with_floating("values", [&](auto zero) {
    using T = decltype(zero);
    const int64_t rows = call.size("values", 0), channels = call.size("values", 1);
    call.check(segment_pull(
        SegmentPullArguments<T>{
            .values = call.input<T>("values"),
            .channels = channels,
            .scale = call.input<T>("scale"),
            .shift = call.input<T>("shift"),
            .slope = static_cast<T>(call.number("slope")),
            .segments = segments_of(call, rows),
            .argmax = call.input<int32_t>("argmax"),
            .to_maxima = call.input<T>("to_maxima"),
            .to_rows = call.input<T>("to_rows"),
            .linear = call.input<T>("linear"),
            .constant = call.input<T>("constant"),
            .gradient = call.output<T>("gradient", {rows, channels}),
            .workspace = call.workspace(segment_pull_workspace(rows)),
        },
        call.stream()));
  });
}
