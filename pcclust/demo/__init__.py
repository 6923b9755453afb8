"""What `pcclust demo` measures and shows."""
