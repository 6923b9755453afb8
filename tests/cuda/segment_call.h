// The tables of segments, by the names of the schemas.
#pragma once

#include "cuda/segments.cuh"
#include "emulator/driver.h"

namespace pcclust::cuda {

inline Segments segments_of(emulator::Call& call, int64_t rows) {
  const int64_t* members = call.optional<int64_t>("members");
  return {{members, members ? call.size("members", 0) : rows, 1, call.input<int64_t>("starts"),
           call.input<int64_t>("sizes"), call.size("starts", 0)},
          rows,
          reinterpret_cast<SegmentRefusal*>(call.output<int64_t>("refusal", {4}))};
}

}  // namespace pcclust::cuda
