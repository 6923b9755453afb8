// How a long kernel learns that its caller no longer waits for it.
#pragma once

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

namespace pcclust {

// Thrown on the thread that called the operator; all memory goes back on its way out.
struct Interrupted : std::runtime_error {
  Interrupted() : std::runtime_error("interrupted") {}
};

// What one call of an operator knows of interruptions. Workers only read the flag; the thread that
// made the call asks whoever watches for signals, not more often than every 50 ms.
class Interrupt {
 public:
  using Check = int (*)();

  // The watcher of the whole process: nonzero means stop. Null where nobody watches.
  static inline std::atomic<Check> watcher{nullptr};

  void begin() {
    requested_.store(false, std::memory_order_relaxed);
    caller_ = std::this_thread::get_id();
    last_ = std::chrono::steady_clock::now();
  }

  // Throws where an interruption was asked for.
  void check() {
    if (std::this_thread::get_id() == caller_) ask();
    if (requested_.load(std::memory_order_relaxed)) throw Interrupted();
  }

 private:
  void ask() {
    const Check wanted = watcher.load(std::memory_order_relaxed);
    if (!wanted) return;
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < std::chrono::milliseconds(50)) return;
    last_ = now;
    if (wanted() != 0) requested_.store(true, std::memory_order_relaxed);
  }

  std::atomic<bool> requested_{false};
  std::thread::id caller_;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace pcclust
