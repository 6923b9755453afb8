#include "cuda/edge_layer.cuh"

#include "emulator/driver.h"

using namespace pcclust::cuda;

namespace {

template <class T>
EdgeArguments<T> edges_of(emulator::Call& call, const T* projected, int64_t channels) {
  return {projected,
          call.input<int64_t>("neighbors"),
          call.input<int64_t>("starts"),
          call.input<int64_t>("sizes"),
          call.size("neighbors", 0),
          call.size("starts", 0),
          call.size("neighbors", 1),
          channels,
          reinterpret_cast<Refusal*>(call.output<int64_t>("refusal", {3}))};
}

// Calls use(part, name of its centers) for the parts "first" and "second", side by side in "placed".
template <class T, class Use>
void for_each_part(emulator::Call& call, const Use& use) {
  const int64_t rows = call.size("first", 0);
  const int64_t pitch = call.size("first", 1) + call.size("second", 1);
  T* placed = call.output<T>("placed", {rows, pitch});
  int64_t column = 0;
  for (const char* name : {"first", "second"}) {
    const int64_t width = call.size(name, 1);
    use(RowPart<T>{call.input<T>(name), rows, width, placed, pitch, column,
                   call.integer("half") != 0},
        name == std::string("first") ? "first_centers" : "second_centers");
    column += width;
  }
}

}  // namespace

EMULATED_CALL(place_parts) {
  call.with_floating("first", [&](auto zero) {
    using T = decltype(zero);
    for_each_part<T>(call, [&](const RowPart<T>& part, const char*) {
      call.check(place_part(part, call.stream()));
    });
  });
}

EMULATED_CALL(activate_rows) {
  call.with_floating("product", [&](auto zero) {
    using T = decltype(zero);
    const int64_t rows = call.size("product", 0), channels = call.size("product", 1);
    call.check(activate_rows(call.input<T>("product"), call.input<T>("bias"), rows, channels,
                             static_cast<T>(call.number("slope")),
                             call.output<T>("out", {rows, channels}), call.stream()));
  });
}

EMULATED_CALL(center_parts) {
  call.with_floating("first", [&](auto zero) {
    using T = decltype(zero);
    const int64_t clouds = call.size("starts", 0), channels = call.size("weight", 0) / 2;
    const EdgeArguments<T> edges = edges_of<T>(call, nullptr, channels);
    double* shift = call.output<double>("shift", {clouds, channels});
    cudaMemsetAsync(shift, 0, sizeof(double) * static_cast<size_t>(clouds * channels));
    cudaMemsetAsync(edges.refusal, 0xff, sizeof(Refusal));
    for_each_part<T>(call, [&](const RowPart<T>& part, const char* name) {
      const T* centers = call.input<T>(name);
      call.check(center_part(CenteredPart<T>{part, centers, edges}, call.stream()));
      call.check(edge_shift(EdgeShift<T>{call.input<T>("weight"), centers, clouds, channels,
                                         part.pitch, part.width, part.column, shift},
                            call.stream()));
    });
  });
}

EMULATED_CALL(edge_layer) {
  call.with_floating("projected", [&](auto zero) {
    using T = decltype(zero);
    const int64_t channels = call.size("bias", 0);
    const EdgeArguments<T> edges = edges_of(call, call.input<T>("projected"), channels);
    call.check(edge_layer(
        EdgeLayerArguments<T>{edges, call.input<T>("bias"), call.input<double>("shift"),
                              static_cast<T>(call.number("slope")),
                              call.output<T>("out", {edges.rows, channels})},
        call.stream()));
  });
}
