// Emulated memory, the accesses to it that are not a kernel's own, and the end of a faulty run.
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "emulator.h"
#include "races.h"

namespace emulator {

namespace {
std::vector<void*> allocated;
}  // namespace

void* allocate(size_t bytes, bool initialised) {
  void* memory;
  if (races::enabled) {
    memory = races::new_global(bytes, initialised);
  } else {
    // malloc, not aligned_alloc: its sizes may be any, so that one byte too many is noticed.
    memory = malloc(bytes);
    allocated.push_back(memory);
  }
  if (!initialised) memset(memory, 0xa5, bytes);
  return memory;
}

void release_all() {
  for (void* memory : allocated) free(memory);
  allocated.clear();
  races::release_all();
}

void atomic_load(void* to, const void* from, size_t bytes) {
  note_atomic(from, bytes, __builtin_return_address(0));
  memcpy(to, from, bytes);
}

void atomic_store(void* to, const void* from, size_t bytes) { memcpy(to, from, bytes); }

void host_copy(void* to, const void* from, size_t bytes) {
  memcpy(to, from, bytes);
  races::initialise(to, bytes);
}

void host_fill(void* to, int byte, size_t bytes) {
  memset(to, byte, bytes);
  races::initialise(to, bytes);
}

void fail(const char* format, ...) {
  fflush(stdout);
  va_list arguments;
  va_start(arguments, format);
  fputs("emulator: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  _exit(86);
}

}  // namespace emulator
