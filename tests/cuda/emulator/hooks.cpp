// What code compiled with -fsanitize=thread calls at every access, in place of its library.
#include "races.h"

namespace emulator {

void note_atomic(const void* address, size_t bytes, const void* caller) {
  races::access(address, bytes, {.reads = true, .writes = true, .atomic = true}, caller);
}

}  // namespace emulator

using emulator::races::access;

#define INSTRUMENTED(name, size, ...)                             \
  extern "C" void __tsan_##name##size(void* at) {                 \
    access(at, size, {__VA_ARGS__}, __builtin_return_address(0)); \
  }
#define INSTRUMENTED_SIZES(name, ...) \
  INSTRUMENTED(name, 1, __VA_ARGS__)  \
  INSTRUMENTED(name, 2, __VA_ARGS__)  \
  INSTRUMENTED(name, 4, __VA_ARGS__)  \
  INSTRUMENTED(name, 8, __VA_ARGS__)  \
  INSTRUMENTED(name, 16, __VA_ARGS__)
INSTRUMENTED_SIZES(read, .reads = true)
INSTRUMENTED_SIZES(write, .writes = true)
INSTRUMENTED_SIZES(unaligned_read, .reads = true)
INSTRUMENTED_SIZES(unaligned_write, .writes = true)
// A volatile access is what CUDA has for a relaxed atomic one.
INSTRUMENTED_SIZES(volatile_read, .reads = true, .atomic = true)
INSTRUMENTED_SIZES(volatile_write, .writes = true, .atomic = true)

extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_read_range(void* at, size_t size) {
  access(at, size, {.reads = true}, __builtin_return_address(0));
}
void __tsan_write_range(void* at, size_t size) {
  access(at, size, {.writes = true}, __builtin_return_address(0));
}
}
