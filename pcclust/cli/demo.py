"""``pcclust demo``: rotation-invariant features of real shapes, measured and shown."""
