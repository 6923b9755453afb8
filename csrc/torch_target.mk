# The oldest libtorch whose stable ABI the libraries use; newer ones load them unchanged.
TORCH_TARGET_VERSION := 0x020b000000000000
