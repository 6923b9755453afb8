"""Writes the leaderboard from the reports of ``benchmarks.clustering``.

python -m benchmarks.clustering_page out/clustering --out benchmarks/CLUSTERING.md
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated, Any

import tyro
from tyro.conf import Positional

from benchmarks.clustering_features import ROUNDS
from benchmarks.clustering_rows import OTHERS, ROWS, Row
from benchmarks.report import put, table
from pcclust.cluster import adjusted_rand_index

Report = dict[str, Any]
TITLES = {
    "modelnet10": "ModelNet10",
    "modelnet40": "ModelNet40",
    OTHERS: "Where it was chosen: the 30 classes of ModelNet40 that ModelNet10 lacks",
}
HEAD = (
    *("clusters by", "seeds", "train ACC", "train NMI", "test ACC", "test ACC, turned"),
    *("NMI", "ARI", "class-mean ACC", "purity", "same when turned", "seeds agree", "minutes"),
)


REMARKS = """\
- **Self-tuning spectral clustering** of the frozen features takes seconds and finds most. It has
  its authors' 7 neighbours, and was chosen over k-means on the classes of the last table, which
  ModelNet10 lacks; with 5 or 10 neighbours, or without local scale, it is the same or a few points
  lower there. k-means splits large classes and merges small ones, since it takes clusters for balls
  of like size; the graph follows a class where it is dense, whatever its shape and size.
- **What did not help** there: whitening, statistics of RRI beside the features (each with an equal
  say), a consensus of many partitions. Features averaged over their neighbours, ten times, gain
  half of what the graph does.
- **Heads on frozen features** (SCAN, TEMI) find more than k-means and less than the graph. They
  press clusters to equal sizes, so they gain less on ModelNet40, whose classes have 64 to 889
  training shapes.
- **SPICE-Self** stays below k-means, by more on ModelNet40: it had 2 of its 10 heads and 6 of its
  100 epochs, without strong views, and gives every cluster as many labels. Features
  are centred first: as an encoder has them, far from the origin, all prototypes point the same way
  and every shape ended in one cluster.
- **CC, PICA and HTCN** stay below k-means, in the mean, on the very features that they begin with.
  They had 3 epochs (PICA 4, two for each of its heads, of 200 in its paper) at a quarter of the
  points, which is what one core does in 9 to 18 minutes; they press for clusters of equal size
  from the first step on. That this is why is our guess: longer trainings were not tried.
  **DeepCluster**, whose targets are k-means' own clusters, stays where k-means is at the same
  budget: its seeds lie from 48 to 60.
- **VaDE** begins from nothing, 5 epochs of an auto-encoder and 3 of its own, and in eleven minutes
  is where k-means is on the features that ContrastNet took two hours to learn.
- **DEC** stays below k-means on ModelNet40: it embeds features in 10 numbers, and k-means on 10
  principal components is as low there. **HDBSCAN** sees three dense regions of the least size
  asked for in ModelNet10, not ten, and too few in ModelNet40. **Ward** is above
  k-means on the training shapes; test shapes go by the nearest of these, which loses it on
  ModelNet10 and not on ModelNet40.
- **DGCNN by SimCLR** begins from nothing, too, and is trained on upright shapes alone. Where test
  shapes stand so, its features give k-means nine points more than the shipped ones, which know no
  pose. Turned, they leave little more than the largest class would (11 % of the
  test shapes): three shapes of four change their cluster."""


@dataclass(frozen=True)
class Settings:
    """What to show.

    Attributes:
        folder: of benchmarks.clustering.
        out: the page to write; printed if None.
    """

    folder: Annotated[Path, Positional]
    out: Path | None = None


def page(folder: Path) -> str:
    """Returns the page in Markdown."""
    parts = [
        "# Clusters of shapes, in any orientation",
        "Written by `python -m benchmarks.clustering_page` from the reports of "
        "`python -m benchmarks.clustering`; nothing is chosen by labels: settings are in that "
        "file, clusters are those of the last epoch. Clusterings are fitted on training shapes as "
        "they stand. ACC: one-to-one map of clusters to classes (Hungarian), fitted on these once; "
        "test shapes, and turned ones, are measured by that map. NMI: arithmetic mean. “Turned”: "
        f"every test shape by a uniform rotation ({ROUNDS} round); columns from “test ACC, "
        "turned” to “purity” are of these. “Same when turned”: test shapes that stay in "
        "their cluster. “Seeds agree”: mean adjusted Rand index between two runs. All but minutes "
        "in %, mean ± standard deviation over the seeds. Minutes: of one core, mean of a run, "
        "without encoding; – of runs that were interrupted.",
    ]
    for dataset, title in TITLES.items():
        found = {row.name: _reports(folder, dataset, row) for row in ROWS}
        shown = [row for row in ROWS if found[row.name]]
        parts += [f"## {title}", table(HEAD, [_cells(row, found[row.name]) for row in shown])]
        parts += list(_missing(dataset, found))
    used = [row for row in ROWS if row.settings]
    settings = "\n".join(f"- {row.title}: `{json.dumps(row.settings)}`" for row in used)
    parts += ["## What helps, and what does not", REMARKS, "## Settings", _about(folder), settings]
    return "\n\n".join(parts) + "\n"


def _reports(folder: Path, dataset: str, row: Row) -> list[Report]:
    files = [folder / "rows" / dataset / f"{row.name}-{seed}.json" for seed in range(row.seeds)]
    return [json.loads(file.read_text("utf-8")) for file in files if file.exists()]


def _cells(row: Row, reports: list[Report]) -> list[str]:
    parts = (
        *(("fitted", "accuracy"), ("fitted", "nmi"), ("test", "accuracy")),
        *(("test_turned", name) for name in ("accuracy", "nmi", "ari", "class_mean_accuracy")),
        *(("test_turned", "purity"), ("test_turned", "consistency")),
    )
    values = [[100 * told["measures"][part][name] for told in reports] for part, name in parts]
    return [
        row.title,
        str(len(reports)),
        *map(_spread, values),
        _agreement(reports),
        _minutes(reports),
    ]


def _minutes(reports: list[Report]) -> str:
    """Returns the mean of runs that were not interrupted, whose minutes alone are known."""
    known = [told["minutes"] for told in reports if told["minutes"] is not None]
    return f"{mean(known):.1f}" if known else "–"


def _spread(values: list[float]) -> str:
    deviation = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
    return f"{mean(values):.1f}{deviation}"


def _agreement(reports: list[Report]) -> str:
    pairs = list(combinations([told["clusters"] for told in reports], 2))
    if not pairs:
        return "–"
    return f"{100 * mean(adjusted_rand_index(*pair) for pair in pairs):.1f}"


def _missing(dataset: str, found: dict[str, list[Report]]) -> Iterator[str]:
    """Yields what was not run, or with fewer seeds than planned."""
    planned = [row for row in ROWS if dataset in row.datasets]
    absent = [row.title for row in planned if not found[row.name]]
    fewer = [
        f"{row.title} ({len(found[row.name])} of {row.seeds})"
        for row in planned
        if 0 < len(found[row.name]) < row.seeds
    ]
    if absent:
        yield f"Not run, for want of time: {', '.join(absent)}."
    if fewer:
        yield f"Fewer seeds than planned: {', '.join(fewer)}."


def _about(folder: Path) -> str:
    """Says where it ran."""
    reports = sorted(folder.glob("rows/*/*.json"))
    told = sorted({str(json.loads(path.read_text("utf-8"))["processor"]) for path in reports})
    return f"One thread of {', '.join(told)}. What is not named has its default."


def main(settings: Settings) -> None:
    """Writes or prints the page."""
    put(page(settings.folder), settings.out)


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
