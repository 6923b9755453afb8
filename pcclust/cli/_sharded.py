"""Shards of pcclust embed and rri: their options, the run of one worker, and what it says."""

import re
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from pcclust._extras import require
from pcclust._names import counted
from pcclust.cli._options import in_options
from pcclust.cli.console import ExitCode, UsageError, errors, output, progress_bar, report_failures
from pcclust.data import ReadFailure
from pcclust.distributed.describers import Describer, FeatureType
from pcclust.distributed.job import Job
from pcclust.distributed.manifest import parse_cut
from pcclust.distributed.ray_engine import take_all_on_ray
from pcclust.distributed.shard_maker import ShardMaker
from pcclust.distributed.shards import list_shards
from pcclust.distributed.sources import Sources
from pcclust.distributed.store import is_url
from pcclust.distributed.work import Advance, Outcome, part_of, present, take_all

FILES = (".npz", ".h5", ".hdf5")


@dataclass(frozen=True, kw_only=True)
class Sharding:
    """Options of a command that can write shards."""

    shards: str | None = None
    shard: str | None = None
    dtype: FeatureType = "float32"
    engine: Literal["processes", "ray"] = "processes"
    address: str | None = None
    gpus: float = 0.0

    def refuse_unsharded(self) -> None:
        """Raises UsageError where options of shards are given, but no --shards."""
        for field in fields(Sharding):
            if getattr(self, field.name) != field.default:
                raise UsageError(f"--{field.name} is of --shards: say how many, or how large")

    def run_shards(
        self,
        paths: tuple[str, ...],
        split: str | None,
        out: str,
        describer: Describer,
        workers: int,
    ) -> int:
        """Describes shapes in shards until there is nothing left to do here."""
        assert self.shards is not None
        part = self._checked(paths, out)
        require("pyarrow.parquet", "shards")
        if self.engine == "ray":
            require("ray.data", "--engine ray")
        sources = Sources(paths=paths, split=split, labelled=describer.kind == "embed")
        maker = ShardMaker(
            Job(out=out, sources=sources, describer=describer, cut=self.shards, workers=workers)
        )
        wanted = part_of(maker.manifest.shards, *part)
        doubt = describer.doubt()
        if doubt:
            errors.print(doubt)
        return self._take(maker, wanted)

    def _take(self, maker: ShardMaker, wanted: list[int]) -> int:
        """Makes what is wanted and not there, and says what came of it."""
        start = time.perf_counter()
        try:
            with progress_bar("shapes") as bar:
                task = bar.add_task(maker.job.describer.kind, total=sum(map(maker.count, wanted)))
                outcome = self._made(maker, wanted, lambda count: bar.advance(task, count))
        except KeyboardInterrupt:
            there = counted(len(list_shards(maker.store)), "shard")
            errors.print(
                f"Interrupted; {there} of {maker.manifest.shards:,} are there, and the same "
                "command goes on"
            )
            return ExitCode.INTERRUPTED
        return _report(maker, wanted, outcome, time.perf_counter() - start)

    def _made(self, maker: ShardMaker, wanted: list[int], advance: Advance) -> Outcome:
        if self.engine == "ray":
            return take_all_on_ray(maker, wanted, advance, self.address, self.gpus)
        return take_all(maker, wanted, advance)

    def _checked(self, paths: tuple[str, ...], out: str) -> tuple[int, int]:
        """Returns which part of how many is wanted, unless an option cannot be."""
        if not paths:
            raise UsageError("name at least one file, folder, pattern, dataset or URL to read")
        if Path(out).suffix.lower() in FILES:
            raise UsageError(f"--out {out}: --shards writes a folder; name one")
        if not is_url(out) and Path(out).exists() and not Path(out).is_dir():
            raise NotADirectoryError(f"--out {out} is a file; name a folder")
        try:
            parse_cut(self.shards or "")
        except ValueError as error:
            raise UsageError(str(error)) from error
        if self.engine != "ray" and (self.address is not None or self.gpus):
            raise UsageError("--address and --gpus are of --engine ray")
        return _part(self.shard)


def _part(text: str | None) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text or "1/1")
    if match and 1 <= int(match[1]) <= int(match[2]):
        return int(match[1]), int(match[2])
    raise UsageError(
        f"--shard {text} is no part of how many, as 17/400; they count from 1: --array=1-400"
    )


def _report(maker: ShardMaker, wanted: list[int], outcome: Outcome, seconds: float) -> int:
    """Says what is there of the shards that were wanted, and what is not, and why."""
    there = present(maker, wanted)
    failures = [ReadFailure(*known) for shard in there.values() for known in shard.failures]
    rows = sum(map(maker.count, there)) - len(failures)
    which = counted(len(there), "shard")
    of = "" if len(there) == maker.manifest.shards else f" of {maker.manifest.shards:,}"
    mine = sum(made.rows for made in outcome.made)
    rate = f"{mine / seconds:,.1f} shapes/s" if mine else "none new"
    output.print(
        f"{maker.store.url}: {counted(rows, 'shape')} in {which}{of}; {seconds:.1f} s, {rate}"
    )
    others = [shard for shard in outcome.elsewhere if shard not in there]
    if others:
        them = "it" if len(others) == 1 else "them"
        output.print(f"{counted(len(others), 'shard')} more: other processes are at {them}")
    if outcome.faults:
        what = counted(len(outcome.faults), "shard")
        errors.print(f"{what} could not be written:", style="bold red")
        for shard, reason in outcome.faults.items():
            errors.print(f"  {maker.name(shard)}: {in_options(reason)}")
    code = report_failures(failures)
    return ExitCode.FAILED if outcome.faults else code
