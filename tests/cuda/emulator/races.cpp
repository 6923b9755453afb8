#include "races.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "emulator.h"

extern "C" char __data_start, _end;  // the linker's: static data, which is where __shared__ lives

namespace emulator::races {
namespace {

// When an access happened. Eras count launches, blocks and barriers in one sequence; the clock
// counts a lane's warp synchronisations within its block. Era 0 is never.
struct Access {
  uint32_t era = 0, clock = 0, block = 0, place = 0;
  uint16_t thread = 0;
  bool atomic = false;
};

// What is known of one byte. `lanes` are those of `read`'s warp that read at the same clock; a
// reader of another warp or block is kept beside it, and more are not needed: of two unordered
// readers of different warps any later writer races with at least one. Reads of one warp at
// different clocks keep the latest.
struct Byte {
  Access write, read, other_read;
  uint32_t lanes = 0;
  bool owned = false, initialised = false;
};

constexpr size_t kArena = size_t{1} << 30, kGap = 64;

struct Detector {
  bool running = false;
  uint32_t era = 1, launch = 1, first_of_block = 1, block = 0;
  std::vector<uint32_t> seen;  // (threads, 32): the clock of each lane of one's warp, as known
  char* arena = nullptr;
  Byte* bytes = nullptr;  // of the arena
  size_t used = 0, shared_begin = 0;
  std::vector<Byte> statics;
};

Detector detector;

template <class T>
T* reserve(size_t count) {
  void* memory = mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) abort();
  return static_cast<T*>(memory);
}

void* take(size_t bytes, bool initialised) {
  if (!detector.arena) {
    detector.arena = reserve<char>(kArena);
    detector.bytes = reserve<Byte>(kArena);
  }
  const size_t begin = detector.used + kGap;
  if (begin + bytes + kGap > kArena) fail("more than 1 GiB of emulated memory");
  detector.used = (begin + bytes + 15) / 16 * 16;
  for (size_t i = begin - kGap; i < begin + bytes + kGap; ++i) {
    detector.bytes[i] = Byte{};
    detector.bytes[i].owned = i >= begin && i < begin + bytes;
    detector.bytes[i].initialised = initialised;
  }
  return detector.arena + begin;
}

uint32_t* seen_by(int thread) { return detector.seen.data() + thread * 32; }

// Whether the running thread's next access comes after the one in the past.
bool ordered(const Access& past, int me) {
  if (past.era < detector.launch) return true;
  if (past.era < detector.first_of_block) return false;
  if (past.era < detector.era || past.thread == me) return true;
  if (past.thread / 32 != me / 32) return false;
  return past.clock <= seen_by(me)[past.thread % 32];
}

void print_place(uint32_t place) {
  char path[4096], command[4400];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  path[std::max<ssize_t>(length, 0)] = 0;
  snprintf(command, sizeof command, "addr2line -Cipfs -e '%s' 0x%x >&2", path, place - 1);
  fflush(stderr);
  if (system(command) != 0) fprintf(stderr, "at %x\n", place);
}

[[noreturn]] void report(const char* what, const char* now, uint32_t place, const char* then,
                         const Access* past) {
  fprintf(stderr, "%s: thread %d of block %u %s\n", what, current_thread(), detector.block, now);
  print_place(place);
  if (past) {
    fprintf(stderr, "and thread %d of block %u %s\n", past->thread, past->block, then);
    print_place(past->place);
  }
  fail("%s", what);
}

Access access_now(uint32_t place, bool atomic) {
  const int me = current_thread();
  return {detector.era, seen_by(me)[me % 32], detector.block, place, static_cast<uint16_t>(me),
          atomic};
}

void check_write(const Byte& byte, bool shared, bool atomic, uint32_t place) {
  const int me = current_thread();
  const char* now = atomic ? "changes atomically" : "writes";
  const auto matters = [&](const Access& past) {
    return !(shared && past.era < detector.first_of_block) && !ordered(past, me);
  };
  if (!(atomic && byte.write.atomic) && matters(byte.write)) {
    report("data race", now, place, byte.write.atomic ? "changed it atomically" : "wrote it",
           &byte.write);
  }
  if (matters(byte.other_read)) report("data race", now, place, "read it", &byte.other_read);
  Access read = byte.read;
  for (uint32_t lanes = byte.lanes; lanes; lanes &= lanes - 1) {
    read.thread = static_cast<uint16_t>(byte.read.thread / 32 * 32 + __builtin_ctz(lanes));
    if (matters(read)) report("data race", now, place, "read it", &read);
  }
}

void note_read_of(Byte& byte, const Access& access) {
  const int me = access.thread;
  if (ordered(byte.read, me) && ordered(byte.other_read, me)) {
    const bool together = byte.read.era == access.era && byte.read.clock == access.clock &&
                          byte.read.thread / 32 == me / 32;
    byte.lanes = (together ? byte.lanes : 0) | 1u << me % 32;
    byte.read = access;
    byte.other_read = {};
  } else if (byte.read.era < detector.first_of_block) {
    byte.other_read = access;
  } else if (byte.read.thread / 32 == me / 32) {
    if (byte.read.clock != access.clock) byte.lanes = 0;
    byte.lanes |= 1u << me % 32;
    byte.read = access;
  } else {
    byte.other_read = access;
  }
}

void check(Byte& byte, bool shared, Kind kind, uint32_t place) {
  if (!byte.owned) {
    report("access outside of every array", kind.writes ? "writes" : "reads", place, "", nullptr);
  }
  const bool initialised =
      shared ? byte.write.era >= detector.first_of_block : byte.initialised || byte.write.era > 0;
  if (kind.reads && !initialised) {
    report(shared ? "uninitialised shared memory" : "uninitialised global memory", "reads", place,
           "", nullptr);
  }
  if (shared && byte.read.era < detector.first_of_block) byte.read = {}, byte.lanes = 0;
  if (shared && byte.other_read.era < detector.first_of_block) byte.other_read = {};
  if (kind.writes) {
    check_write(byte, shared, kind.atomic, place);
    byte.write = access_now(place, kind.atomic);
    byte.read = byte.other_read = {};
    byte.lanes = 0;
    return;
  }
  const bool ignored = (shared && byte.write.era < detector.first_of_block) ||
                       (kind.atomic && byte.write.atomic);
  if (!ignored && !ordered(byte.write, current_thread())) {
    report("data race", "reads", place, byte.write.atomic ? "changed it atomically" : "wrote it",
           &byte.write);
  }
  if (!kind.atomic) note_read_of(byte, access_now(place, false));
}

}  // namespace

void access(const void* address, size_t size, Kind kind, const void* caller) {
  if (!detector.running) return;
  const char* at = static_cast<const char*>(address);
  const auto place = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(caller));
  Byte* bytes = nullptr;
  bool shared = false;
  if (at >= detector.arena && at < detector.arena + kArena) {
    const size_t offset = static_cast<size_t>(at - detector.arena);
    bytes = detector.bytes + offset;
    shared = detector.shared_begin && offset >= detector.shared_begin;
  } else if (at >= &__data_start && at < &_end) {
    bytes = detector.statics.data() + (at - &__data_start);
    shared = true;
  } else {
    return;  // a thread's own stack
  }
  for (size_t i = 0; i < size; ++i) {
    check(bytes[i], shared, kind, place);
    // Large accesses may copy the padding of structures, which nobody has to write.
    if (size > 8) kind.reads = false;
  }
}

void* new_global(size_t bytes, bool initialised) {
  detector.shared_begin = 0;
  return take(bytes, initialised);
}

// Dynamic shared memory lies behind all global memory, and each block takes the same place.
void* new_shared(size_t bytes) {
  if (detector.shared_begin) detector.used = detector.shared_begin;
  detector.shared_begin = detector.used;
  return take(bytes, false);
}

void initialise(const void* address, size_t bytes) {
  const char* at = static_cast<const char*>(address);
  for (size_t i = 0; i < bytes; ++i) detector.bytes[at - detector.arena + i].initialised = true;
}

void release_all() { detector.used = detector.shared_begin = 0; }

void begin_launch() {
  if (detector.statics.empty()) {
    detector.statics.resize(static_cast<size_t>(&_end - &__data_start));
    for (Byte& byte : detector.statics) byte.owned = true;
  }
  detector.launch = ++detector.era;
}

void begin_block(int threads, uint64_t block) {
  detector.first_of_block = ++detector.era;
  detector.block = static_cast<uint32_t>(block);
  detector.seen.assign(static_cast<size_t>(threads) * 32, 0);
  for (int i = 0; i < threads; ++i) seen_by(i)[i % 32] = 1;
  detector.running = true;
}

void end_launch() {
  detector.running = false;
  if (detector.shared_begin) detector.used = detector.shared_begin;
  detector.shared_begin = 0;
}

void barrier() { ++detector.era; }

void synchronise(int first, unsigned mask) {
  uint32_t joined[32] = {};
  for (int lane = 0; lane < 32; ++lane) {
    if (!(mask >> lane & 1)) continue;
    for (int i = 0; i < 32; ++i) joined[i] = std::max(joined[i], seen_by(first + lane)[i]);
  }
  for (int lane = 0; lane < 32; ++lane) {
    if (!(mask >> lane & 1)) continue;
    std::copy_n(joined, 32, seen_by(first + lane));
    ++seen_by(first + lane)[lane];
  }
}

}  // namespace emulator::races
