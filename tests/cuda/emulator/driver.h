// How a test calls a launcher: EMULATED_CALL(name) { … } in a file <op>_emulated.cpp, which reads
// named inputs from `call`, makes outputs, and launches. See ../emulation.py for the other side.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "emulator.h"

namespace emulator {

enum class Type : int64_t { f32, f64, i32, i64, u8 };
template <class T>
constexpr Type type_of = std::same_as<T, float>     ? Type::f32
                         : std::same_as<T, double>  ? Type::f64
                         : std::same_as<T, int32_t> ? Type::i32
                         : std::same_as<T, int64_t> ? Type::i64
                                                    : Type::u8;

struct Array {
  Type type;
  std::vector<int64_t> shape;
  void* data;
  size_t bytes() const;
};

class Call {
 public:
  explicit Call(std::map<std::string, Array> inputs) : inputs_(std::move(inputs)) {}

  // An input's elements in device memory; a scalar is an input without dimensions.
  template <class T>
  const T* input(const char* name) const {
    return static_cast<const T*>(find(name, type_of<T>).data);
  }
  // The same, or null where the test gave none.
  template <class T>
  const T* optional(const char* name) const {
    return inputs_.contains(name) ? input<T>(name) : nullptr;
  }
  int64_t size(const char* name, size_t dimension) const;
  int64_t integer(const char* name) const { return *input<int64_t>(name); }
  double number(const char* name) const { return *input<double>(name); }

  // Device memory that nobody has written: what the test gets back, and what it does not.
  template <class T>
  T* output(const char* name, std::vector<int64_t> shape) {
    return static_cast<T*>(make(name, type_of<T>, std::move(shape)));
  }
  void* workspace(size_t bytes) const { return allocate(bytes, false); }

  cudaStream_t stream() const { return nullptr; }
  void check(cudaError_t error) const;

  // Calls use(T{}) with the floating type of an input.
  template <class Use>
  void with_floating(const char* name, const Use& use) const {
    if (inputs_.at(name).type == Type::f32) use(float{});
    else use(double{});
  }

  const std::map<std::string, Array>& outputs() const { return outputs_; }

 private:
  const Array& find(const char* name, Type type) const;
  void* make(const char* name, Type type, std::vector<int64_t> shape);

  std::map<std::string, Array> inputs_, outputs_;
};

using Body = void (*)(Call&);
struct Registration {
  Registration(const char* name, Body body);
};

}  // namespace emulator

#define EMULATED_CALL(name)                                                \
  static void name##_emulated(emulator::Call& call);                       \
  static const emulator::Registration name##_registration(#name, &name##_emulated); \
  static void name##_emulated([[maybe_unused]] emulator::Call& call)
