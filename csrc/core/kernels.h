// The table of kernels of one instruction set, and the choice among them.
#pragma once

#include "core/arguments.h"
#include "core/parallel.h"

namespace pcclust {

struct Kernels {
  const char* name;
  void (*search_f32)(const SearchArguments<float>&, const Threads&);
  void (*search_f64)(const SearchArguments<double>&, const Threads&);
};

// The best that this processor runs; PCCLUST_ISA=baseline|avx2|avx512 in the environment lowers it.
const Kernels& kernels();

inline void search(const SearchArguments<float>& a, const Threads& t) { kernels().search_f32(a, t); }
inline void search(const SearchArguments<double>& a, const Threads& t) { kernels().search_f64(a, t); }

}  // namespace pcclust
