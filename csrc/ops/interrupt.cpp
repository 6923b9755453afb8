// Who is asked whether a long kernel should stop: Python's own functions, whose addresses
// pcclust/ops/_interrupt.py hands over, so that this library needs no Python to be linked to.
#include "core/interrupt.h"

#define VISIBLE extern "C" __attribute__((visibility("default")))

namespace {

struct Python {
  int (*ensure)();     // PyGILState_Ensure
  void (*release)(int);
  int (*check)();      // PyErr_CheckSignals: runs handlers, on the main thread only
  void (*fetch)(void**, void**, void**);
  void (*restore)(void*, void*, void*);
} python;

// What a handler raised while a kernel of this thread ran.
thread_local void* raised[3];

int run_handlers() {
  const int state = python.ensure();
  const int failed = python.check();
  if (failed) python.fetch(&raised[0], &raised[1], &raised[2]);
  python.release(state);
  return failed;
}

}  // namespace

VISIBLE void pcclust_watch_interrupts(int (*ensure)(), void (*release)(int), int (*check)(),
                                      void (*fetch)(void**, void**, void**),
                                      void (*restore)(void*, void*, void*)) {
  python = {ensure, release, check, fetch, restore};
  pcclust::Interrupt::watcher.store(ensure ? &run_handlers : nullptr);
}

// Sets what a handler raised, if anything, as the error of this thread, which holds the GIL.
VISIBLE void pcclust_raise_interrupt() {
  if (!raised[0]) return;
  python.restore(raised[0], raised[1], raised[2]);
  raised[0] = nullptr;
}
