"""Many machines: shapes described in shards by any number of processes."""
