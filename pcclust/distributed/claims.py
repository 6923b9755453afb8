"""Claims on shards, so that two processes seldom describe the same one.

Two that do are harmless: they publish the same bytes. On a disk a claim is a lock, which dies with
its process. A store knows no locks: there a claim is a small file that says until when it holds,
and is renewed meanwhile.
"""

import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, TypeAlias

from pcclust._lock import OutputLockedError, locked_file
from pcclust.distributed.store import Store

# Seconds after which a claim on a store that nobody renews holds no more. Where its holder is only
# slow, a shard is made twice, which costs less than if all wait for a dead one: see docs/scale.md.
EXPIRES = 120.0

# What is called now and then by whoever holds a claim, so that it goes on holding.
Renew: TypeAlias = Callable[[], None]


@contextmanager
def claimed(store: Store, name: str) -> Iterator[Renew | None]:
    """Claims a file that is to be written, and gives up the claim in the end.

    Args:
        store: the folder.
        name: of the file.

    Yields:
        What renews the claim; None where another process has it.

    Example:
        >>> import tempfile
        >>> from pcclust.distributed.claims import claimed
        >>> from pcclust.distributed.store import Store
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = Store(folder)
        ...     with claimed(store, "a") as mine, claimed(store, "a") as another:
        ...         mine is not None, another is None
        (True, True)
    """
    if store.local is None:
        with _claimed_by_file(store, f"{name}.claim") as renew:
            yield renew
        return
    made = not store.local.exists()
    store.local.mkdir(parents=True, exist_ok=True)
    try:
        with ExitStack() as held:
            try:
                held.enter_context(locked_file(store.local / name))
            except OutputLockedError:
                yield None
                return
            yield lambda: None
    finally:
        if made:
            with suppress(OSError):  # something came into it
                store.local.rmdir()


@contextmanager
def _claimed_by_file(store: Store, name: str) -> Iterator[Renew | None]:
    me, until = uuid.uuid4().hex, 0.0

    def renew() -> None:
        nonlocal until
        if time.time() > until - EXPIRES / 2:
            until = time.time() + EXPIRES
            where = f"process {os.getpid()} on {socket.gethostname()}"
            store.publish(name, json.dumps({"by": me, "where": where, "until": until}).encode())

    if _holder(store, name, time.time()) is not None:
        yield None
        return
    renew()
    if _holder(store, name, 0.0) != me:  # another one came between
        yield None
        return
    try:
        yield renew
    finally:
        if _holder(store, name, 0.0) == me:
            store.remove(name)


def _holder(store: Store, name: str, now: float) -> str | None:
    """Returns who claims a file beyond ``now``; a claim that cannot be read is none."""
    try:
        claim: dict[str, Any] = json.loads(store.read(name))
        return str(claim["by"]) if float(claim["until"]) > now else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
