// Aligned scratch memory that is neither cleared nor shrunk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace pcclust {

template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t count) { resize(count); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  Buffer(Buffer&& other) noexcept : data_(other.data_), capacity_(other.capacity_) {
    other.data_ = nullptr;
    other.capacity_ = 0;
  }
  ~Buffer() { std::free(data_); }

  // Makes room for `count` elements; what was there is lost when it has to grow.
  void resize(int64_t count) {
    if (count <= capacity_) return;
    std::free(data_);
    const std::size_t bytes = (static_cast<std::size_t>(count) * sizeof(T) + 63) & ~std::size_t{63};
    data_ = static_cast<T*>(std::aligned_alloc(64, bytes));
    capacity_ = data_ ? count : 0;
    if (!data_) throw std::bad_alloc();
  }

  // Gives the memory back.
  void release() {
    std::free(data_);
    data_ = nullptr;
    capacity_ = 0;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](int64_t i) { return data_[i]; }
  const T& operator[](int64_t i) const { return data_[i]; }

 private:
  T* data_ = nullptr;
  int64_t capacity_ = 0;
};

}  // namespace pcclust
