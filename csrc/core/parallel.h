// How kernels run in parallel without knowing who owns the threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

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
};

// Calls body(task) for each task, handing the next one to whichever thread is free.
inline void for_each_task(const Threads& threads, int64_t tasks, FunctionRef<void(int64_t)> body) {
  const int64_t workers = threads.count < tasks ? threads.count : tasks;
  if (workers <= 1) {
    for (int64_t task = 0; task < tasks; ++task) body(task);
    return;
  }
  std::atomic<int64_t> next{0};
  threads.run(workers, [&](int64_t) {
    for (int64_t task; (task = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) body(task);
  });
}

}  // namespace pcclust
