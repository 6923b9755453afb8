"""A store that fails as it is told to."""

import time
from typing import ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem


class FaultyStore(MemoryFileSystem):
    """Memory that fails as many times as it is told, in the way it is told."""

    protocol = "faulty"
    cachable = False
    store: ClassVar[dict] = {}
    pseudo_dirs: ClassVar[list] = [""]
    fault = None
    times = 0

    @classmethod
    def fails(cls):
        if cls.times <= 0:
            return False
        FaultyStore.times -= 1
        return True

    def cat_file(self, path, **options):
        content = super().cat_file(path, **options)
        if self.fault == "half" and self.fails():
            return content[: len(content) // 2]
        if self.fault == "slow" and self.fails():
            time.sleep(0.3)
        return content

    def pipe_file(self, path, value, **options):
        if self.fault == "refuses" and self.fails():
            raise RuntimeError("503 SlowDown")
        if self.fault == "shards refused" and ".parquet." in path and ".claim" not in path:
            raise RuntimeError("503 SlowDown")
        if self.fault == "forbids":
            raise PermissionError("403 Forbidden")
        if self.fault == "keeps half" and self.fails():
            value = value[: len(value) // 2]
        return super().pipe_file(path, value, **options)

    def ls(self, path, **options):
        if self.fault == "refuses" and self.fails():
            raise RuntimeError("503 SlowDown")
        return super().ls(path, **options)


fsspec.register_implementation("faulty", FaultyStore, clobber=True)
