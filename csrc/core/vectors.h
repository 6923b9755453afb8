// Vectors of the registers' own size and of 64 bytes, their comparisons, choices and extremes.
//
// Everything that is compiled several times lives in an inline namespace named PCCLUST_ISA, so that
// the linker never mistakes one version for another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#ifndef PCCLUST_ISA
#define PCCLUST_ISA baseline
#endif

#define PCCLUST_INLINE inline __attribute__((always_inline))

namespace pcclust::inline PCCLUST_ISA {

typedef float F32x16 __attribute__((vector_size(64)));
typedef int32_t I32x16 __attribute__((vector_size(64)));
typedef double F64x8 __attribute__((vector_size(64)));
typedef int64_t I64x8 __attribute__((vector_size(64)));

#if defined(PCCLUST_HAS_AVX512)
constexpr int kRegisterBytes = 64;
#elif defined(PCCLUST_HAS_AVX2)
constexpr int kRegisterBytes = 32;
#else
constexpr int kRegisterBytes = 16;
#endif

// A vector of T of the registers' own size, and as many integers of its width, int32 and doubles.
template <class T>
struct Vector {
  static constexpr int lanes = kRegisterBytes / sizeof(T);
  using Integer = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;
  typedef T Type __attribute__((vector_size(kRegisterBytes)));
  typedef Integer Mask __attribute__((vector_size(kRegisterBytes)));
  typedef int32_t Positions __attribute__((vector_size(4 * lanes)));
  typedef double Totals __attribute__((vector_size(8 * lanes)));
};

template <class V, class T>
PCCLUST_INLINE V load(const T* from) {
  V v;
  std::memcpy(&v, from, sizeof(V));
  return v;
}

template <class V, class T>
PCCLUST_INLINE void store(T* to, V v) {
  std::memcpy(to, &v, sizeof(V));
}

template <class V, class T>
PCCLUST_INLINE V splat(T value) {
  return value - V{};
}

// What of a vector fits into a register.
template <class V>
struct InRegister {
  using Lane = std::remove_cvref_t<decltype(V{}[0])>;
  static constexpr std::size_t bytes = sizeof(V) < kRegisterBytes ? sizeof(V) : kRegisterBytes;
  typedef Lane Type __attribute__((vector_size(bytes)));
};

// use(v...) of vectors, register by register. Arithmetic needs none of this; but g++ takes comparisons
// and choices of vectors that are wider than a register lane by lane, at ten times the cost.
template <class Result, class Use, class... V>
PCCLUST_INLINE Result by_registers(const Use& use, V... v) {
  constexpr std::size_t bytes = InRegister<Result>::bytes;
  if constexpr (sizeof(Result) == bytes) {
    return use(v...);
  } else {
    Result result;
    const auto take = [&](std::size_t at) {
      const auto part = use(load<typename InRegister<V>::Type>(reinterpret_cast<const char*>(&v) + at)...);
      store(reinterpret_cast<char*>(&result) + at, part);
    };
    [&]<std::size_t... part>(std::index_sequence<part...>) {
      (take(part * bytes), ...);
    }(std::make_index_sequence<sizeof(Result) / bytes>());
    return result;
  }
}

// Comparisons, all ones or all zeros in each lane, and of plain numbers as usual.
#define PCCLUST_COMPARISON(name, op)                                                            \
  template <class V>                                                                            \
  PCCLUST_INLINE auto name(V a, V b) {                                                          \
    if constexpr (std::is_arithmetic_v<V>) return a op b;                                       \
    else return by_registers<decltype(a op b)>([](auto x, auto y) { return x op y; }, a, b);    \
  }
PCCLUST_COMPARISON(less, <)
PCCLUST_COMPARISON(at_most, <=)
PCCLUST_COMPARISON(equal, ==)
#undef PCCLUST_COMPARISON

// mask ? a : b
template <class Mask, class V>
PCCLUST_INLINE V where(Mask mask, V a, V b) {
  if constexpr (std::is_arithmetic_v<V>) return mask ? a : b;
  else return by_registers<V>([](auto m, auto x, auto y) { return m ? x : y; }, mask, a, b);
}

// Whether a value takes the place of the largest so far: it is larger, or the first NaN.
template <class V>
PCCLUST_INLINE auto outdoes(V value, V largest) {
  if constexpr (std::is_arithmetic_v<V>) return (largest == largest) & !(value <= largest);
  else return equal(largest, largest) & ~at_most(value, largest);
}

// a > b ? a : b, also of NaN and of zeros: what the instructions do, which g++ does not see.
template <class V>
PCCLUST_INLINE V maximum(V a, V b) {
  return where(less(b, a), a, b);
}

// a < b ? a : b
template <class V>
PCCLUST_INLINE V minimum(V a, V b) {
  return where(less(a, b), a, b);
}

#if defined(__x86_64__)
#if defined(PCCLUST_HAS_AVX512)
#define PCCLUST_PS(name) _mm512_##name##_ps
#elif defined(PCCLUST_HAS_AVX2)
#define PCCLUST_PS(name) _mm256_##name##_ps
#else
#define PCCLUST_PS(name) _mm_##name##_ps
#endif
using F32s = Vector<float>::Type;
PCCLUST_INLINE F32s maximum(F32s a, F32s b) { return PCCLUST_PS(max)(a, b); }
PCCLUST_INLINE F32s minimum(F32s a, F32s b) { return PCCLUST_PS(min)(a, b); }
#endif

// a · b + c, rounded once where the processor can; never for distances that must be exact.
PCCLUST_INLINE F32x16 multiply_add(F32x16 a, F32x16 b, F32x16 c) {
#if defined(PCCLUST_HAS_AVX512)
  return (F32x16)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(PCCLUST_HAS_AVX2)
  __m256 x[2], y[2], z[2];
  std::memcpy(x, &a, sizeof(a));
  std::memcpy(y, &b, sizeof(b));
  std::memcpy(z, &c, sizeof(c));
  for (int half = 0; half < 2; ++half) z[half] = _mm256_fmadd_ps(x[half], y[half], z[half]);
  std::memcpy(&c, z, sizeof(c));
  return c;
#else
  return a * b + c;
#endif
}

#if defined(PCCLUST_HAS_AVX512)
PCCLUST_INLINE F64x8 multiply_add(F64x8 a, F64x8 b, F64x8 c) {
  return (F64x8)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
#elif defined(PCCLUST_HAS_AVX2)
PCCLUST_INLINE __m256 multiply_add(__m256 a, __m256 b, __m256 c) { return _mm256_fmadd_ps(a, b, c); }
PCCLUST_INLINE __m256d multiply_add(__m256d a, __m256d b, __m256d c) {
  return _mm256_fmadd_pd(a, b, c);
}
#endif
template <class V>
PCCLUST_INLINE V multiply_add(V a, V b, V c) {
  return a * b + c;
}

PCCLUST_INLINE F32x16 square_root(F32x16 v) {
#if defined(__x86_64__)
  return by_registers<F32x16>([](F32s part) -> F32s { return PCCLUST_PS(sqrt)(part); }, v);
#else
  for (int lane = 0; lane < 16; ++lane) v[lane] = __builtin_sqrtf(v[lane]);
  return v;
#endif
}

}  // namespace pcclust::inline PCCLUST_ISA
