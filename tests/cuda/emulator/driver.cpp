// The program of the emulated kernels: <program> <call> <inputs> <outputs>. Runs the call with
// blocks and threads in three orders, demands equal bits, and writes the outputs.
#include "driver.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace emulator {
namespace {

std::map<std::string, Body>& bodies() {
  static std::map<std::string, Body> all;
  return all;
}

// One array of a file, followed by its elements.
struct Header {
  char name[32];
  int64_t type, dimensions, shape[6];
};

std::map<std::string, Array> read_arrays(const char* path) {
  std::map<std::string, Array> arrays;
  FILE* file = fopen(path, "rb");
  if (!file) fail("cannot read %s", path);
  Header header;
  while (fread(&header, sizeof header, 1, file) == 1) {
    Array array{static_cast<Type>(header.type),
                {header.shape, header.shape + header.dimensions},
                nullptr};
    array.data = allocate(array.bytes(), true);
    if (fread(array.data, 1, array.bytes(), file) != array.bytes()) fail("%s is cut off", path);
    arrays[header.name] = array;
  }
  fclose(file);
  return arrays;
}

void write_arrays(const char* path, const std::map<std::string, Array>& arrays) {
  FILE* file = fopen(path, "wb");
  if (!file) fail("cannot write %s", path);
  for (const auto& [name, array] : arrays) {
    Header header{};
    name.copy(header.name, sizeof header.name - 1);
    header.type = static_cast<int64_t>(array.type);
    header.dimensions = static_cast<int64_t>(array.shape.size());
    std::copy(array.shape.begin(), array.shape.end(), header.shape);
    fwrite(&header, sizeof header, 1, file);
    fwrite(array.data, 1, array.bytes(), file);
  }
  if (fclose(file) != 0) fail("cannot write %s", path);
}

using Results = std::map<std::string, std::vector<char>>;

Results run_call(Body body, const char* inputs, const char* outputs) {
  Call call(read_arrays(inputs));
  body(call);
  Results results;
  for (const auto& [name, array] : call.outputs()) {
    const char* data = static_cast<const char*>(array.data);
    results[name].assign(data, data + array.bytes());
  }
  if (outputs) write_arrays(outputs, call.outputs());
  release_all();
  return results;
}

}  // namespace

size_t Array::bytes() const {
  constexpr size_t sizes[] = {4, 8, 4, 8, 1};
  size_t bytes = sizes[static_cast<int64_t>(type)];
  for (int64_t size : shape) bytes *= static_cast<size_t>(size);
  return bytes;
}

const Array& Call::find(const char* name, Type type) const {
  const auto found = inputs_.find(name);
  if (found == inputs_.end()) fail("the test gives no %s", name);
  if (found->second.type != type) fail("%s has the wrong dtype", name);
  return found->second;
}

int64_t Call::size(const char* name, size_t dimension) const {
  const auto found = inputs_.find(name);
  if (found == inputs_.end()) fail("the test gives no %s", name);
  return found->second.shape.at(dimension);
}

void* Call::make(const char* name, Type type, std::vector<int64_t> shape) {
  Array array{type, std::move(shape), nullptr};
  array.data = allocate(array.bytes(), false);
  outputs_[name] = array;
  return array.data;
}

void Call::check(cudaError_t error) const {
  if (error != cudaSuccess) fail("cudaError %d", static_cast<int>(error));
}

Registration::Registration(const char* name, Body body) { bodies()[name] = body; }

}  // namespace emulator

int main(int count, char** arguments) {
  using namespace emulator;
  if (count != 4) fail("usage: %s CALL INPUTS OUTPUTS", arguments[0]);
  const auto found = bodies().find(arguments[1]);
  if (found == bodies().end()) fail("no call %s", arguments[1]);
  set_order(Order::forward);
  const Results first = run_call(found->second, arguments[2], arguments[3]);
  for (Order order : {Order::reverse, Order::shuffled}) {
    set_order(order);
    const Results other = run_call(found->second, arguments[2], nullptr);
    for (const auto& [name, bytes] : first) {
      if (bytes != other.at(name)) fail("%s depends on the order of threads", name.c_str());
    }
  }
}
