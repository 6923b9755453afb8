// Channels a vector at a time, the few beyond the last full vector one by one: functions take the
// type V of their channels, a vector or a plain number.
#pragma once

#include <cstdint>
#include <type_traits>

#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

// What goes with channels of type V: as many integers of their width, int32 and doubles.
template <class V>
struct Channels {
  static constexpr int count = sizeof(V) / sizeof(V{}[0]);
  using Integer = std::conditional_t<sizeof(V{}[0]) == 4, int32_t, int64_t>;
  typedef Integer Mask __attribute__((vector_size(sizeof(V))));
  typedef int32_t Position __attribute__((vector_size(4 * count)));
  typedef double Total __attribute__((vector_size(8 * count)));
  static PCCLUST_INLINE Mask fill(int64_t position) {
    return Mask{} + static_cast<Integer>(position);
  }
  static PCCLUST_INLINE Total widen(V v) { return __builtin_convertvector(v, Total); }
  static PCCLUST_INLINE Position narrow(Mask m) { return __builtin_convertvector(m, Position); }
  static PCCLUST_INLINE V shorten(Total t) { return __builtin_convertvector(t, V); }
  static PCCLUST_INLINE Mask wide(Position p) { return __builtin_convertvector(p, Mask); }
  static PCCLUST_INLINE bool any_nan(V v) { return static_cast<uint32_t>(~bits(equal(v, v))) << (32 - count) != 0; }
};
template <class V>
  requires std::is_arithmetic_v<V>
struct Channels<V> {
  static constexpr int count = 1;
  using Mask = int64_t;
  using Position = int32_t;
  using Total = double;
  static PCCLUST_INLINE Mask fill(int64_t position) { return position; }
  static PCCLUST_INLINE Total widen(V v) { return v; }
  static PCCLUST_INLINE Position narrow(Mask m) { return static_cast<Position>(m); }
  static PCCLUST_INLINE V shorten(Total t) { return static_cast<V>(t); }
  static PCCLUST_INLINE Mask wide(Position p) { return p; }
  static PCCLUST_INLINE bool any_nan(V v) { return v != v; }
};

constexpr int64_t kRowsInFloat = 32;  // that are summed in working precision before double

template <class V>
PCCLUST_INLINE void add_in_double(double* to, V v) {
  using Total = typename Channels<V>::Total;
  store(to, load<Total>(to) + Channels<V>::widen(v));
}

// Calls use(V{}, channel) for each group of channels.
template <class T, class Use>
PCCLUST_INLINE void for_each_channels(int64_t channels, const Use& use) {
  using V = typename Vector<T>::Type;
  int64_t channel = 0;
  for (; channel + Vector<T>::lanes <= channels; channel += Vector<T>::lanes) use(V{}, channel);
  for (; channel < channels; ++channel) use(T{}, channel);
}

}  // namespace pcclust::inline PCCLUST_ISA
