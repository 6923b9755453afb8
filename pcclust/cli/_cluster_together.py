"""`pcclust cluster` of features that exceed memory, in one process or in those of torchrun."""

import dataclasses
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pcclust._names import counted
from pcclust.cli.console import ExitCode, UsageError, errors, output, progress_bar
from pcclust.distributed.cluster_job import Told, cluster_folder
from pcclust.distributed.group import Group, PeerError, joined_group
from pcclust.distributed.kmeans import Settings

ALLOWED = ("source", "out", "clusters", "seed", "device")


def cluster_together(asked: Any, kind: type[Any]) -> int:  # noqa: ANN401 (it imports this)
    """Clusters features by k-means, tells how it goes in the first process, and returns the code.

    Args:
        asked: the options of pcclust cluster.
        kind: their class, which has the defaults.

    Raises:
        UsageError: options that only go with features in memory.
    """
    settings = Settings(_clusters(asked, kind), seed=asked.seed)
    with joined_group(asked.device) as group:
        try:
            result = _result(asked.source, Path(asked.out), settings, group)
        except PeerError:
            if group.first:
                raise
            return ExitCode.FAILED
        except KeyboardInterrupt:
            if group.first:
                errors.print("Interrupted; the same command goes on from the last checkpoint.")
            return ExitCode.INTERRUPTED
        if group.first:
            _report(result, Path(asked.out))
    return ExitCode.DONE


def _result(source: str, out: Path, settings: Settings, group: Group) -> dict[str, Any]:
    """Clusters, and shows in the first process how it goes."""
    with ExitStack() as stack:
        told = _told(stack) if group.first else None
        return cluster_folder(source, out, settings, group, told)


def _clusters(asked: Any, kind: type[Any]) -> int:  # noqa: ANN401
    """Returns how many clusters are wanted; raises unless all options can be followed."""
    plain = {f.name: f.default for f in dataclasses.fields(kind)}
    differing = [name for name in plain if getattr(asked, name) != plain[name]]
    if asked.method == ("kmeans",):
        differing.remove("method")
    refused = [name for name in differing if name not in ALLOWED]
    if refused:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in refused)
        raise UsageError(
            f"{options}: features that are read in pieces, or by several processes, are clustered "
            "by k-means as they are; leave it out"
        )
    if not isinstance(asked.clusters, int) or asked.clusters < 1:
        raise UsageError("how many clusters? Features that are read in pieces need --clusters INT")
    return asked.clusters


def _told(stack: ExitStack) -> Told:
    """Returns what draws a bar of the rows that this process is done with."""
    bar = stack.enter_context(progress_bar("rows"))
    task = bar.add_task("reading", total=None)

    def moved(iteration: int) -> None:
        bar.update(task, description=f"iteration {iteration}" if iteration else "choosing centers")

    return Told(output.print, lambda rows: bar.advance(task, rows), moved)


def _report(result: dict[str, Any], out: Path) -> None:
    sizes = sorted(result["sizes"])
    output.print(
        f"{counted(result['clusters'], 'cluster')} of {result['rows']:,} features in "
        f"{counted(result['iterations'], 'iteration')}: inertia {result['inertia']:.6g}, sizes "
        f"{sizes[0]:,} to {sizes[-1]:,}, median {sizes[len(sizes) // 2]:,}"
    )
    empty = sum(size == 0 for size in sizes)
    if empty:
        errors.print(
            f"Note: {counted(empty, 'cluster')} of them have no row: there may be fewer "
            "different rows than clusters."
        )
    output.print("Look at")
    for name in ("clusters.json", "centers.npy", "labels"):
        output.print(f"  {out / name}")
