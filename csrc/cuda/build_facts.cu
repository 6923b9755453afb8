// How the library was built, for `pcclust info`.
#define STRING(text) #text
#define VERSION(major, minor) STRING(major) "." STRING(minor)

extern "C" __attribute__((visibility("default"))) const char* pcclust_cuda_targets() {
  return PCCLUST_CUDA_TARGETS;
}
extern "C" __attribute__((visibility("default"))) const char* pcclust_cuda_compiler() {
  return "nvcc " VERSION(__CUDACC_VER_MAJOR__, __CUDACC_VER_MINOR__);
}
