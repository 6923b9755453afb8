// Shuffles, votes and reductions of warps, and atomics; <cuda_runtime.h> includes it.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <type_traits>

#include "emulator.h"

namespace emulator {

template <class T>
concept Word = std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8);

template <class T>
EMULATED uint64_t to_bits(T value) {
  uint64_t bits = 0;
  __builtin_memcpy(&bits, &value, sizeof(T));
  return bits;
}
template <class T>
EMULATED T from_bits(uint64_t bits) {
  T value;
  __builtin_memcpy(&value, &bits, sizeof(T));
  return value;
}

// The value of another lane of the mask, or one's own where the source lies beyond the segment.
template <Word T>
T shuffle(Collective kind, unsigned mask, T value, int offset, int width, Where where) {
  const uint64_t* given = exchange(kind, mask, to_bits(value), where);
  const int me = lane(), first = me / width * width, last = first + width - 1;
  int source = me;
  if (kind == Collective::shuffle) source = first + (offset & (width - 1));
  if (kind == Collective::shuffle_up && me - offset >= first) source = me - offset;
  if (kind == Collective::shuffle_down && me + offset <= last) source = me + offset;
  if (kind == Collective::shuffle_xor && (me ^ offset) <= last) source = me ^ offset;
  check_source(mask, source, where);
  return from_bits<T>(given[source]);
}

template <class T, class Combine>
T reduce(unsigned mask, T value, Combine combine, Where where) {
  const uint64_t* given = exchange(Collective::reduce, mask, to_bits(value), where);
  T result{};
  bool first = true;
  for (int lane = 0; lane < 32; ++lane) {
    if (!(mask >> lane & 1)) continue;
    const T next = from_bits<T>(given[lane]);
    result = first ? next : combine(result, next);
    first = false;
  }
  return result;
}

}  // namespace emulator

#define EMULATED_SHUFFLE(name, kind)                                                              \
  template <emulator::Word T>                                                                     \
  EMULATED T name(unsigned mask, T value, int offset, int width = 32,                             \
                  emulator::Where where = emulator::Where::current()) {                           \
    return emulator::shuffle(emulator::Collective::kind, mask, value, offset, width, where);      \
  }
EMULATED_SHUFFLE(__shfl_sync, shuffle)
EMULATED_SHUFFLE(__shfl_up_sync, shuffle_up)
EMULATED_SHUFFLE(__shfl_down_sync, shuffle_down)
EMULATED_SHUFFLE(__shfl_xor_sync, shuffle_xor)
#undef EMULATED_SHUFFLE

EMULATED unsigned __ballot_sync(unsigned mask, int predicate,
                                emulator::Where where = emulator::Where::current()) {
  const uint64_t* given =
      emulator::exchange(emulator::Collective::vote, mask, predicate != 0, where);
  unsigned votes = 0;
  for (int lane = 0; lane < 32; ++lane) votes |= static_cast<unsigned>(given[lane]) << lane;
  return votes;
}
EMULATED int __any_sync(unsigned mask, int predicate,
                        emulator::Where where = emulator::Where::current()) {
  return __ballot_sync(mask, predicate, where) != 0;
}
EMULATED int __all_sync(unsigned mask, int predicate,
                        emulator::Where where = emulator::Where::current()) {
  return __ballot_sync(mask, predicate, where) == mask;
}
template <emulator::Word T>
EMULATED unsigned __match_any_sync(unsigned mask, T value,
                                   emulator::Where where = emulator::Where::current()) {
  const uint64_t bits = emulator::to_bits(value);
  const uint64_t* given = emulator::exchange(emulator::Collective::match, mask, bits, where);
  unsigned equal = 0;
  for (int lane = 0; lane < 32; ++lane) equal |= unsigned{given[lane] == bits} << lane;
  return equal & mask;
}

#define EMULATED_REDUCE(name, T, expression)                                                     \
  EMULATED T name(unsigned mask, T value, emulator::Where where = emulator::Where::current()) {   \
    return emulator::reduce(mask, value, [](T a, T b) { return expression; }, where);            \
  }
EMULATED_REDUCE(__reduce_add_sync, unsigned, a + b)
EMULATED_REDUCE(__reduce_min_sync, unsigned, std::min(a, b))
EMULATED_REDUCE(__reduce_max_sync, unsigned, std::max(a, b))
EMULATED_REDUCE(__reduce_and_sync, unsigned, a & b)
EMULATED_REDUCE(__reduce_or_sync, unsigned, a | b)
EMULATED_REDUCE(__reduce_xor_sync, unsigned, a ^ b)
EMULATED_REDUCE(__reduce_add_sync, int, a + b)
EMULATED_REDUCE(__reduce_min_sync, int, std::min(a, b))
EMULATED_REDUCE(__reduce_max_sync, int, std::max(a, b))
#undef EMULATED_REDUCE

// ---- atomics: those that CUDA has for the type, relaxed -----------------------------------------

namespace emulator {
template <class T, class Change>
EMULATED T atomic(T* address, const Change& change) {
  T old;
  atomic_load(&old, address, sizeof(T));
  const T changed = change(old);
  atomic_store(address, &changed, sizeof(T));
  return old;
}
template <class T, class... Types>
concept AnyOf = (std::same_as<T, Types> || ...);
using ull = unsigned long long;
}  // namespace emulator

// The value's type is not deduced, as CUDA's overloads convert it to that of the memory.
#define EMULATED_ATOMIC(name, expression, ...)                                                   \
  template <emulator::AnyOf<__VA_ARGS__> T>                                                      \
  EMULATED T name(T* address, std::type_identity_t<T> value) {                                   \
    return emulator::atomic(address, [&](T old) -> T { return expression; });                    \
  }
EMULATED_ATOMIC(atomicAdd, static_cast<T>(old + value), int, unsigned, emulator::ull, float, double)
EMULATED_ATOMIC(atomicSub, static_cast<T>(old - value), int, unsigned)
EMULATED_ATOMIC(atomicMin, std::min(old, value), int, unsigned, emulator::ull, long long)
EMULATED_ATOMIC(atomicMax, std::max(old, value), int, unsigned, emulator::ull, long long)
EMULATED_ATOMIC(atomicAnd, old & value, int, unsigned, emulator::ull)
EMULATED_ATOMIC(atomicOr, old | value, int, unsigned, emulator::ull)
EMULATED_ATOMIC(atomicXor, old ^ value, int, unsigned, emulator::ull)
EMULATED_ATOMIC(atomicExch, (static_cast<void>(old), value), int, unsigned, emulator::ull, float)
#undef EMULATED_ATOMIC
template <emulator::AnyOf<int, unsigned, emulator::ull> T>
EMULATED T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  return emulator::atomic(address, [&](T old) { return old == expected ? value : old; });
}
