// A machine that runs CUDA kernels on one CPU thread: blocks one after another, the threads of a
// block as fibers that give way only where they wait for each other.
//
// Whatever CUDA leaves undefined is an error that names the place and ends the process: a barrier
// that not all threads reach, a lane that its mask names and that never comes, a shuffle from a
// lane that takes no part. emulator.cpp is compiled without sanitizers; what it shares with kernels
// goes through the functions below.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>

namespace emulator {

using Where = std::source_location;

struct Index3 {
  unsigned x, y, z;
};

// In which order the blocks and the ready threads of a block run. Results may not depend on it.
enum class Order { forward, reverse, shuffled };
void set_order(Order order);

enum class Launch { done, refused };
// Runs a kernel; `refused` where no device would take the grid, the block or the shared memory.
Launch run(Index3 grid, Index3 block, size_t shared_bytes, const std::function<void()>& kernel);

Index3 thread_index();
Index3 block_index();
Index3 block_size();
Index3 grid_size();
void* dynamic_shared();

enum class BarrierResult { none, any, all, count };
int barrier(BarrierResult wanted, int predicate, Where where);

enum class Collective { sync, shuffle, shuffle_up, shuffle_down, shuffle_xor, vote, match, reduce };
// Waits for all lanes of the mask at the same kind of collective; returns what each of them gave.
const uint64_t* exchange(Collective kind, unsigned mask, uint64_t value, Where where);
int lane();
// Ends the process unless the lane takes part in the collective.
void check_source(unsigned mask, int source, Where where);

// Global memory. What nobody has written may not be read.
void* allocate(size_t bytes, bool initialised);
void release_all();

// Counts what kernels do, for tests.
void count_event();
long long events();

// The two halves of an atomic operation, and copies made by the host.
void atomic_load(void* to, const void* from, size_t bytes);
void atomic_store(void* to, const void* from, size_t bytes);
void host_copy(void* to, const void* from, size_t bytes);
void host_fill(void* to, int byte, size_t bytes);

[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace emulator
