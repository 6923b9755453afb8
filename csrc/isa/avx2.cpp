// The kernels for x86-64 processors with AVX2.
#include "isa/standard.h"

#if defined(__x86_64__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2,lzcnt,popcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2,lzcnt,popcnt")
#endif

#define PCCLUST_ISA avx2
// g++ reads the whole file before it heeds the target, so its own macros stay undefined.
#define PCCLUST_HAS_AVX2
#include "isa/kernels.inc"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
