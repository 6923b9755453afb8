// How kernels run in parallel without knowing who owns the threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "core/interrupt.h"

namespace pcclust {

// A reference to a callable: no allocation, and one type for every lambda across instruction sets.
template <class Signature>
class FunctionRef;

template <class Result, class... Args>
class FunctionRef<Result(Args...)> {
 public:
  template <class Callable>
    requires(!std::is_same_v<std::remove_cvref_t<Callable>, FunctionRef>)
  FunctionRef(Callable&& callable)
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(callable)))),
        call_([](void* object, Args... args) -> Result {
          return (*static_cast<std::remove_reference_t<Callable>*>(object))(
              std::forward<Args>(args)...);
        }) {}

  Result operator()(Args... args) const { return call_(object_, std::forward<Args>(args)...); }

 private:
  void* object_;
  Result (*call_)(void*, Args...);
};

// The host's thread pool: `run(workers, body)` calls body(worker) once for each of 0..workers-1,
// concurrently where threads are free.
struct Threads {
  int64_t count;
  FunctionRef<void(int64_t workers, FunctionRef<void(int64_t)> body)> run;
  Interrupt* interrupt;  // of the call that all this work is for

  // Ends the work where its caller no longer waits. To be called every few milliseconds of work.
  void check() const { interrupt->check(); }
};

// Calls body(task, scratch) for each task, handing the next one to whichever thread is free; every
// worker makes a scratch for all its tasks. Throws Interrupted, on this thread only.
template <class MakeScratch, class Body>
void for_each_task_with(const Threads& threads, int64_t tasks, const MakeScratch& make_scratch,
                        const Body& body) {
  std::atomic<int64_t> next{0};
  const auto work = [&](int64_t) {
    auto scratch = make_scratch();
    for (int64_t task; (task = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) {
      threads.check();
      body(task, scratch);
    }
  };
  const int64_t workers = threads.count < tasks ? threads.count : tasks;
  if (workers <= 1) return work(0);
  threads.run(workers, [&](int64_t worker) {
    try {
      work(worker);
    } catch (const Interrupted&) {  // no exception leaves a pool of threads
    }
  });
  threads.check();
}

// Calls body(task) for each task, handing the next one to whichever thread is free.
inline void for_each_task(const Threads& threads, int64_t tasks, FunctionRef<void(int64_t)> body) {
  for_each_task_with(threads, tasks, [] { return 0; }, [&](int64_t task, int) { body(task); });
}

// Who works on `clouds` clouds: where they are many, threads take whole clouds; where they are few,
// all threads share the work inside one cloud after the other.
struct Shares {
  Threads across, inside;
};
inline Shares share_clouds(const Threads& threads, int64_t clouds, int64_t enough) {
  const Threads one{1, threads.run, threads.interrupt};
  if (threads.count > 1 && clouds >= enough) return {threads, one};
  return {one, threads};
}

}  // namespace pcclust
