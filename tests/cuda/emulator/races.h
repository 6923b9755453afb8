// Finds data races between emulated threads, and reads of memory that nobody has written.
//
// Kernels are compiled with -fsanitize=thread, but not linked with its library: their accesses call
// the functions in hooks.cpp instead, which know what orders accesses in CUDA. Of two accesses to
// one byte, at least one of them a write and not both atomic, there is a race unless the same
// thread makes both, a __syncthreads of their block lies between, or a __syncwarp of their lanes.
// Nothing orders the blocks of a launch; launches follow each other. The verdict depends on these
// rules alone, not on the order in which the threads happened to run.
#pragma once

#include <cstddef>
#include <cstdint>

namespace emulator {

int current_thread();

#ifdef EMULATOR_RACES
void note_atomic(const void* address, size_t bytes, const void* caller);
#else
inline void note_atomic(const void*, size_t, const void*) {}
#endif

namespace races {

#ifdef EMULATOR_RACES
constexpr bool enabled = true;
struct Kind {
  bool reads = false, writes = false, atomic = false;
};
// Judges one access of the running thread; `caller` is where it happens.
void access(const void* address, size_t size, Kind kind, const void* caller);

void* new_global(size_t bytes, bool initialised);
void* new_shared(size_t bytes);
void initialise(const void* address, size_t bytes);
void release_all();
void begin_launch();
void begin_block(int threads, uint64_t block);
void end_launch();
void barrier();
void synchronise(int first_thread, unsigned mask);
#else
constexpr bool enabled = false;
inline void* new_global(size_t, bool) { return nullptr; }
inline void* new_shared(size_t) { return nullptr; }
inline void initialise(const void*, size_t) {}
inline void release_all() {}
inline void begin_launch() {}
inline void begin_block(int, uint64_t) {}
inline void end_launch() {}
inline void barrier() {}
inline void synchronise(int, unsigned) {}
#endif

}  // namespace races
}  // namespace emulator
