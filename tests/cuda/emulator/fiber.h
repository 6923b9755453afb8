// Execution contexts on stacks of their own, switched by hand. Include in one file only.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>

#ifndef __x86_64__
#include <ucontext.h>
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

#ifdef __x86_64__
// Saves what a call must preserve, changes the stack, and returns there. swapcontext would do, but
// makes two system calls, and AddressSanitizer forgets a stack's redzones when it sees one.
extern "C" void emulator_jump(void** save, void* load);
asm(R"(
.text
emulator_jump:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");
#endif

namespace emulator {

// The process's own stack, or, once started, a new one that runs a body and never returns.
class Fiber {
 public:
  static constexpr size_t kStack = 256 * 1024, kGuard = 4096;

  Fiber() = default;
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  bool started() const { return stack_ != nullptr; }

  void start(void (*body)()) {
    stack_ = static_cast<char*>(mmap(nullptr, kStack, PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (stack_ == MAP_FAILED || mprotect(stack_, kGuard, PROT_NONE) != 0) abort();
    body_ = body;
#ifdef __x86_64__
    // The first jump takes six registers from here and returns into `enter`.
    void** frame = reinterpret_cast<void**>(stack_ + kStack) - 8;
    frame[6] = reinterpret_cast<void*>(&enter);
    pointer_ = frame;
#else
    getcontext(&context_);
    context_.uc_stack.ss_sp = stack_;
    context_.uc_stack.ss_size = kStack;
    makecontext(&context_, &enter, 0);
#endif
  }

  // Leaves `from`, which runs, for `to`; returns when somebody changes back.
  static void change(Fiber& from, Fiber& to) {
    entered_ = &to;
#ifdef __SANITIZE_ADDRESS__
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, to.started() ? to.stack_ : process_bottom_,
                                   to.started() ? kStack : process_size_);
#endif
#ifdef __x86_64__
    emulator_jump(&from.pointer_, to.pointer_);
#else
    swapcontext(&from.context_, &to.context_);
#endif
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
  }

 private:
  static void enter() {
#ifdef __SANITIZE_ADDRESS__
    const void* bottom = nullptr;
    size_t size = 0;
    __sanitizer_finish_switch_fiber(nullptr, &bottom, &size);
    // The first fiber comes from the process's stack.
    if (!process_bottom_) process_bottom_ = bottom, process_size_ = size;
#endif
    entered_->body_();
    abort();
  }

#ifdef __x86_64__
  void* pointer_ = nullptr;
#else
  ucontext_t context_;
#endif
  char* stack_ = nullptr;
  void (*body_)() = nullptr;
  inline static Fiber* entered_ = nullptr;
  inline static const void* process_bottom_ = nullptr;
  inline static size_t process_size_ = 0;
};

}  // namespace emulator
