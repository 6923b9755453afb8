"""What one worker does: it takes shards that nobody has made or takes, until there are none."""

import os
import random
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from pcclust.distributed.claims import Renew, claimed
from pcclust.distributed.shard_file import ShardAbout, ShardError, refuse_stranger
from pcclust.distributed.shard_maker import ChangedError, Made, ShardMaker
from pcclust.distributed.shards import list_shards, read_about
from pcclust.distributed.store import StoreError

Advance = Callable[[int], object]
IN_A_ROW = 3  # shards that cannot be made, after which a worker sees no use in the others


@dataclass
class Outcome:
    """What a worker did.

    Attributes:
        made: shards by this worker.
        faults: why shards could not be made, by their number.
        elsewhere: shards that other processes are making.
    """

    made: list[Made] = field(default_factory=list)
    faults: dict[int, str] = field(default_factory=dict)
    elsewhere: list[int] = field(default_factory=list)


def part_of(shards: int, part: int, parts: int) -> list[int]:
    """Returns the shards of one of several tasks that share them, counted from 1.

    Example:
        >>> part_of(10, 2, 4), part_of(10, 17, 400)
        ([1, 5, 9], [])
    """
    return list(range(part - 1, shards, parts))


def present(maker: ShardMaker, shards: Iterable[int]) -> dict[int, ShardAbout]:
    """Returns how those of the shards came about that are there.

    Raises:
        ShardError: one is damaged, or was written by another job, model or version.
    """
    there = set(list_shards(maker.store))
    found: dict[int, ShardAbout] = {}
    for shard in shards:
        name = maker.name(shard)
        if name not in there:
            continue
        try:
            found[shard] = read_about(maker.store, name)
        except FileNotFoundError:  # removed since it was listed
            continue
        called = maker.store.place(name)
        refuse_stranger(found[shard], maker.expected(shard), called)
        if found[shard].shard != shard:
            raise ShardError(
                f"{called} is shard {found[shard].shard} by its content: remove it, and let "
                "the same command write it again"
            )
    return found


def take_all(maker: ShardMaker, shards: Sequence[int], advance: Advance) -> Outcome:
    """Makes all shards that are not there and that nobody else makes.

    Args:
        maker: makes one.
        shards: which are wanted.
        advance: is told of so many shapes that are done, by whomever.

    Raises:
        ShardError: a shard that is there is damaged, or of another job, model or version.
        ValueError: the model fails.
        OSError: a disk that is full, or may not be written.
    """
    there = present(maker, shards)
    advance(sum(map(maker.count, there)))
    todo = [shard for shard in shards if shard not in there]
    # Each begins elsewhere, so that they seldom want the same one.
    me = f"{socket.gethostname()} {os.getpid()}"
    begin = random.Random(me).randrange(len(todo)) if todo else 0
    outcome = Outcome()
    left = _pass(maker, [*todo[begin:], *todo[:begin]], outcome, advance)
    outcome.elsewhere = _pass(maker, left, outcome, advance)  # whoever had them may have died
    return outcome


def _pass(
    maker: ShardMaker, shards: Sequence[int], outcome: Outcome, advance: Advance
) -> list[int]:
    """Makes shards that are not there; returns those that others are making."""
    busy: list[int] = []
    there: set[str] = set()
    in_a_row = 0
    for shard in shards:
        name = maker.name(shard)
        if name not in there and maker.store.has(name):
            there = set(list_shards(maker.store))  # others are at work here, and have made more
        if name in there:
            advance(maker.count(shard))
            continue
        with claimed(maker.store, name) as renew:
            if renew is None:
                busy.append(shard)
                continue
            try:
                _make(maker, shard, outcome, renew, advance)
                in_a_row = 0
            except (StoreError, ChangedError) as error:
                outcome.faults[shard] = str(error)
                in_a_row += 1
        if in_a_row == IN_A_ROW:
            break
    return busy


def _make(maker: ShardMaker, shard: int, outcome: Outcome, renew: Renew, advance: Advance) -> None:
    if maker.store.has(maker.name(shard)):  # made before the claim
        advance(maker.count(shard))
        return

    def told(count: int) -> None:
        renew()
        advance(count)

    outcome.made.append(maker.make(shard, told))
