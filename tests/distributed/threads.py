"""A group of processes played by threads, which costs a test no start of Python."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import torch

from pcclust.distributed.group import Group, PeerError


class ThreadGroup(Group):
    """One of several threads; adds up in an order that differs from call to call."""

    def __init__(self, index, count, board):
        self.index, self.count, self.board = index, count, board

    def sum(self, values):
        parts = self._all(values)
        start = self.board.turn % self.count
        return sum(parts[start:] + parts[:start], torch.zeros_like(values))

    def maximum(self, values):
        return torch.stack(self._all(values)).amax(dim=0)

    def from_first(self, values):
        return self._all(values)[0].clone()

    def _all(self, values):
        self.board.places[self.index] = values
        self.board.barrier.wait(timeout=60)
        parts = list(self.board.places)
        if self.board.barrier.wait(timeout=60) == 0:
            self.board.turn += 1
        self.board.barrier.wait(timeout=60)
        shapes = {(part.shape, part.dtype) for part in parts}
        assert len(shapes) == 1, f"a collective of unlike tensors: {shapes}"
        return parts


class Board:
    def __init__(self, count):
        self.barrier, self.places, self.turn = threading.Barrier(count), [None] * count, 0


def in_threads(count, work):
    """Returns what ``work(group)`` returns in each thread; raises what the first one raises."""
    board = Board(count)

    def one(index):
        try:
            return work(ThreadGroup(index, count, board))
        except (threading.BrokenBarrierError, PeerError):  # the others find out by themselves
            raise
        except BaseException:
            board.barrier.abort()
            raise

    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(copy_context().run, one, index) for index in range(count)]
    failures = [f.exception() for f in futures if f.exception()]
    for failure in failures:
        if not isinstance(failure, threading.BrokenBarrierError):
            raise failure
    return [f.result() for f in futures]
