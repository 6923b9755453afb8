// The clouds of a call: points (R, D), starts (B,) and sizes (B,).
#pragma once

#include "cuda/search.cuh"
#include "emulator/driver.h"

template <class T>
pcclust::cuda::Clouds<T> clouds_of(const emulator::Call& call) {
  return {call.input<T>("points"),        call.size("points", 0), call.size("points", 1),
          call.input<int64_t>("starts"), call.input<int64_t>("sizes"), call.size("starts", 0)};
}
