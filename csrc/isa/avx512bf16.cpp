// The kernels for x86-64 processors with AVX-512 and its 8-bit products (VNNI) and products of bfloat16.
#include "isa/standard.h"

#if defined(__x86_64__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx2,fma,bmi,bmi2,lzcnt,popcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx2,fma,bmi,bmi2,lzcnt,popcnt,prefer-vector-width=512")
#endif

#define PCCLUST_ISA avx512bf16
// g++ reads the whole file before it heeds the target, so its own macros stay undefined.
#define PCCLUST_HAS_AVX2
#define PCCLUST_HAS_AVX512
#define PCCLUST_HAS_VNNI
#define PCCLUST_HAS_BF16
#include "isa/kernels.inc"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
