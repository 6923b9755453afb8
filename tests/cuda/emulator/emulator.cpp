#include "emulator.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "fiber.h"
#include "races.h"

namespace emulator {
namespace {

constexpr int kWarp = 32, kMostThreads = 1024;
// What the smallest device that is built for (sm_75) can give a block.
constexpr size_t kMostShared = 64 * 1024;

enum class State { ready, at_barrier, at_exchange, done };

struct Thread {
  Fiber fiber;
  State state = State::done;
  Index3 index{};
  Where where;
  int predicate = 0;
  Collective kind{};
  unsigned mask = 0;
  uint64_t value = 0;
  uint64_t given[kWarp] = {};
};

struct Machine {
  Fiber home;
  std::vector<std::unique_ptr<Thread>> threads;
  const std::function<void()>* kernel = nullptr;
  Index3 grid{}, block{}, block_index{};
  int count = 0;    // threads of a block
  int current = 0;  // the one that runs
  int arrived = 0, first_at_barrier = 0;
  int any = 0, all = 0, sum = 0;
  long long events = 0;
  Order order = Order::forward;
  std::mt19937 shuffle{1};
  void* shared = nullptr;
};

Machine machine;

Thread& running() { return *machine.threads[machine.current]; }

const char* name_of(Collective kind) {
  constexpr const char* names[] = {"__syncwarp",      "__shfl_sync", "__shfl_up_sync",
                                   "__shfl_down_sync", "__shfl_xor_sync", "a vote",
                                   "__match_any_sync", "__reduce_sync"};
  return names[static_cast<int>(kind)];
}

const char* describe(int number, char* text, size_t size) {
  const Thread& t = *machine.threads[number];
  const int line = static_cast<int>(t.where.line());
  switch (t.state) {
    case State::done:
      snprintf(text, size, "thread %d has left the kernel", number);
      break;
    case State::at_barrier:
      snprintf(text, size, "thread %d waits at __syncthreads, %s:%d", number, t.where.file_name(),
               line);
      break;
    case State::at_exchange:
      snprintf(text, size, "thread %d waits at %s with mask %08x, %s:%d", number, name_of(t.kind),
               t.mask, t.where.file_name(), line);
      break;
    case State::ready:
      snprintf(text, size, "thread %d runs", number);
  }
  return text;
}

[[noreturn]] void fail_between(const char* what, int one, int other) {
  char first[512], second[512];
  fail("%s in block %u: %s, while %s", what, machine.block_index.x,
       describe(one, first, sizeof first), describe(other, second, sizeof second));
}

// Lets others run until somebody makes this thread ready again.
void wait(State state) {
  Thread& me = running();
  me.state = state;
  Fiber::change(me.fiber, machine.home);
}

void fiber_body() {
  for (;;) {
    (*machine.kernel)();
    wait(State::done);
  }
}

// Says who waits for whom in a block where nobody can go on.
[[noreturn]] void fail_stuck() {
  for (int i = 0; i < machine.count; ++i) {
    const Thread& t = *machine.threads[i];
    if (t.state != State::at_exchange) continue;
    const int first = i / kWarp * kWarp;
    for (int lane = 0; lane < kWarp; ++lane) {
      if (!(t.mask >> lane & 1)) continue;
      const int other = first + lane;
      if (other >= machine.count) {
        fail("%s at %s:%d names lane %d, but the warp has %d lanes", name_of(t.kind),
             t.where.file_name(), static_cast<int>(t.where.line()), lane, machine.count - first);
      }
      const Thread& o = *machine.threads[other];
      if (o.state != State::at_exchange || o.kind != t.kind || o.mask != t.mask) {
        fail_between("a lane that the mask names never arrives", i, other);
      }
    }
  }
  for (int i = 0; i < machine.count; ++i) {
    for (int j = 0; j < machine.count; ++j) {
      if (machine.threads[i]->state == State::at_barrier &&
          machine.threads[j]->state != State::at_barrier) {
        fail_between("a barrier in divergent code", i, j);
      }
    }
  }
  fail("a block is stuck");
}

void run_block() {
  std::vector<int> turns(machine.count);
  std::iota(turns.begin(), turns.end(), 0);
  if (machine.order == Order::reverse) std::reverse(turns.begin(), turns.end());
  machine.arrived = 0;
  for (int i : turns) machine.threads[i]->state = State::ready;
  for (int left = machine.count; left > 0;) {
    if (machine.order == Order::shuffled) {
      std::shuffle(turns.begin(), turns.end(), machine.shuffle);
    }
    bool progress = false;
    for (int i : turns) {
      Thread& t = *machine.threads[i];
      if (t.state != State::ready) continue;
      progress = true;
      machine.current = i;
      Fiber::change(machine.home, t.fiber);
      left -= t.state == State::done;
    }
    if (!progress) fail_stuck();
  }
}

void prepare_threads() {
  const Index3 b = machine.block;
  machine.count = static_cast<int>(b.x * b.y * b.z);
  while (static_cast<int>(machine.threads.size()) < machine.count) {
    machine.threads.push_back(std::make_unique<Thread>());
    machine.threads.back()->fiber.start(&fiber_body);
  }
  for (unsigned i = 0; i < static_cast<unsigned>(machine.count); ++i) {
    machine.threads[i]->index = {i % b.x, i / b.x % b.y, i / b.x / b.y};
  }
}

bool takes(Index3 grid, Index3 block, size_t shared_bytes) {
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  return threads >= 1 && threads <= kMostThreads && block.z <= 64 && grid.x <= 0x7fffffffu &&
         grid.y <= 65535 && grid.z <= 65535 && shared_bytes <= kMostShared;
}

// Shared memory of exactly the bytes asked for, so that one more is noticed.
void* new_shared(size_t bytes) {
  if (bytes == 0) return nullptr;
  void* memory = nullptr;
  if (races::enabled) memory = races::new_shared(bytes);
  else if (posix_memalign(&memory, 16, bytes) != 0) abort();
  memset(memory, 0xa5, bytes);
  return memory;
}

}  // namespace

void set_order(Order order) {
  machine.order = order;
  machine.shuffle.seed(20);
  machine.events = 0;
}

void count_event() { ++machine.events; }
long long events() { return machine.events; }

Launch run(Index3 grid, Index3 block, size_t shared_bytes, const std::function<void()>& kernel) {
  if (!takes(grid, block, shared_bytes)) return Launch::refused;
  machine.grid = grid;
  machine.block = block;
  machine.kernel = &kernel;
  prepare_threads();
  std::vector<uint64_t> blocks(uint64_t{grid.x} * grid.y * grid.z);
  std::iota(blocks.begin(), blocks.end(), 0);
  if (machine.order == Order::reverse) std::reverse(blocks.begin(), blocks.end());
  if (machine.order == Order::shuffled) std::shuffle(blocks.begin(), blocks.end(), machine.shuffle);
  races::begin_launch();
  for (uint64_t i : blocks) {
    machine.block_index = {static_cast<unsigned>(i % grid.x),
                           static_cast<unsigned>(i / grid.x % grid.y),
                           static_cast<unsigned>(i / grid.x / grid.y)};
    machine.shared = new_shared(shared_bytes);
    races::begin_block(machine.count, i);
    run_block();
    if (!races::enabled) free(machine.shared);
  }
  races::end_launch();
  return Launch::done;
}

Index3 thread_index() { return running().index; }
Index3 block_index() { return machine.block_index; }
Index3 block_size() { return machine.block; }
Index3 grid_size() { return machine.grid; }
void* dynamic_shared() { return machine.shared; }
int current_thread() { return machine.current; }
int lane() { return machine.current % kWarp; }

int barrier(BarrierResult wanted, int predicate, Where where) {
  Thread& me = running();
  me.where = where;
  me.predicate = predicate != 0;
  if (machine.arrived == 0) {
    machine.any = 0, machine.all = 1, machine.sum = 0;
    machine.first_at_barrier = machine.current;
  }
  const Where& first = machine.threads[machine.first_at_barrier]->where;
  if (first.line() != where.line() || strcmp(first.file_name(), where.file_name()) != 0) {
    me.state = State::at_barrier;
    fail_between("a barrier in divergent code", machine.first_at_barrier, machine.current);
  }
  machine.any |= me.predicate;
  machine.all &= me.predicate;
  machine.sum += me.predicate;
  if (++machine.arrived < machine.count) {
    wait(State::at_barrier);
  } else {
    machine.arrived = 0;
    races::barrier();
    for (int i = 0; i < machine.count; ++i) {
      Thread& t = *machine.threads[i];
      t.state = State::ready;
      t.given[0] = machine.any;
      t.given[1] = machine.all;
      t.given[2] = machine.sum;
    }
  }
  return wanted == BarrierResult::none ? 0 : static_cast<int>(me.given[static_cast<int>(wanted) - 1]);
}

const uint64_t* exchange(Collective kind, unsigned mask, uint64_t value, Where where) {
  Thread& me = running();
  if (!(mask >> lane() & 1)) {
    fail("lane %d calls %s with mask %08x, which does not name it, %s:%d", lane(), name_of(kind),
         mask, where.file_name(), static_cast<int>(where.line()));
  }
  me.where = where;
  me.kind = kind;
  me.mask = mask;
  me.value = value;
  const int first = machine.current / kWarp * kWarp;
  bool complete = true;
  for (int lane = 0; lane < kWarp && complete; ++lane) {
    if (!(mask >> lane & 1) || first + lane == machine.current) continue;
    complete = first + lane < machine.count;
    if (!complete) break;
    const Thread& t = *machine.threads[first + lane];
    complete = t.state == State::at_exchange && t.kind == kind && t.mask == mask;
  }
  if (!complete) {
    wait(State::at_exchange);
    return me.given;
  }
  uint64_t given[kWarp] = {};
  for (int lane = 0; lane < kWarp; ++lane) {
    if (mask >> lane & 1) given[lane] = machine.threads[first + lane]->value;
  }
  for (int lane = 0; lane < kWarp; ++lane) {
    if (!(mask >> lane & 1)) continue;
    Thread& t = *machine.threads[first + lane];
    t.state = State::ready;
    std::copy_n(given, kWarp, t.given);
  }
  if (kind == Collective::sync) races::synchronise(first, mask);
  return me.given;
}

void check_source(unsigned mask, int source, Where where) {
  if (mask >> source & 1) return;
  fail("lane %d reads from lane %d, which takes no part (mask %08x), %s:%d", lane(), source, mask,
       where.file_name(), static_cast<int>(where.line()));
}

}  // namespace emulator
