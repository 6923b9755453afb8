#include "cuda/group_max.cuh"
#include "cuda/group_max_backward.cuh"
#include "cuda/group_moments.cuh"
#include "emulator/driver.h"

using namespace pcclust::cuda;

namespace {

template <class T>
GroupLayer<T> layer_of(const emulator::Call& call) {
  return {call.input<T>("features"), call.size("features", 0), call.size("features", 1),
          call.size("features", 2),  call.input<T>("weight"),  call.input<T>("bias"),
          call.size("weight", 0),    static_cast<T>(call.number("slope"))};
}

template <class T>
GroupGradient<T> gradient_of(emulator::Call& call, const GroupLayer<T>& layer) {
  T* features = nullptr;
  if (call.integer("wanted")) {
    features = call.output<T>("features", {layer.groups, layer.k, layer.inputs});
  }
  return {features, call.output<T>("weight", {layer.hidden, layer.inputs}),
          call.output<T>("bias", {layer.hidden})};
}

}  // namespace

EMULATED_CALL(group_max) {
  call.with_floating("features", [&](auto zero) {
    using T = decltype(zero);
    const GroupLayer<T> layer = layer_of<T>(call);
    const int64_t channels = call.size("out_weight", 0);
    call.check(group_max(
        GroupMaxArguments<T>{layer, call.input<T>("out_weight"), channels,
                             call.output<T>("maxima", {layer.groups, channels}),
                             call.output<int32_t>("argmax", {layer.groups, channels})},
        call.stream()));
  });
}

EMULATED_CALL(group_max_backward) {
  call.with_floating("features", [&](auto zero) {
    using T = decltype(zero);
    const GroupLayer<T> layer = layer_of<T>(call);
    const int64_t channels = call.size("out_weight", 0);
    call.check(group_max_backward(
        GroupMaxBackwardArguments<T>{
            layer, call.input<T>("out_weight"), channels, call.input<int32_t>("argmax"),
            call.input<T>("max_gradient"), gradient_of(call, layer),
            call.output<T>("out_weight", {channels, layer.hidden}),
            reinterpret_cast<unsigned long long*>(call.output<int64_t>("refusal", {1})),
            call.workspace(group_max_backward_workspace(layer, channels))},
        call.stream()));
  });
}

EMULATED_CALL(group_moments) {
  call.with_floating("features", [&](auto zero) {
    using T = decltype(zero);
    const GroupLayer<T> layer = layer_of<T>(call);
    call.check(group_moments(
        GroupMomentsArguments<T>{layer, call.output<double>("total", {layer.hidden}),
                                 call.output<double>("products", {layer.hidden, layer.hidden}),
                                 call.workspace(group_moments_workspace(layer))},
        call.stream()));
  });
}

EMULATED_CALL(group_moments_backward) {
  call.with_floating("features", [&](auto zero) {
    using T = decltype(zero);
    const GroupLayer<T> layer = layer_of<T>(call);
    call.check(group_moments_backward(
        GroupMomentsBackwardArguments<T>{
            layer, call.input<double>("total_gradient"), call.input<double>("products_gradient"),
            gradient_of(call, layer), call.workspace(group_moments_backward_workspace(layer))},
        call.stream()));
  });
}
