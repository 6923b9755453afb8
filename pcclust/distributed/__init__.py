"""Many machines: shapes described in shards, and k-means of them, by any number of processes."""
