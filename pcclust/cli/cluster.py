"""``pcclust cluster``: features or shapes in clusters, measured and shown."""

import csv
import io
import shlex
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import numpy as np
from tyro.conf import UseAppendAction
from tyro.constructors import PrimitiveConstructorSpec

from pcclust._files import whole_file
from pcclust._lock import locked_folder
from pcclust._names import visible
from pcclust._version import __version__
from pcclust.cli._cluster_data import (
    UNTRAINED,
    Clusterable,
    Source,
    labels_that_measure,
    open_clusterable,
)
from pcclust.cli._cluster_together import cluster_together
from pcclust.cli.console import (
    UsageError,
    drawn,
    errors,
    make_folder,
    note,
    output,
    progress_bar,
    report_failures,
)
from pcclust.data import PointDataset
from pcclust.distributed.group import under_torchrun
from pcclust.distributed.rows import holds_shards
from pcclust.evaluate.cluster_methods import METHODS, OWN
from pcclust.evaluate.clustering import clustering
from pcclust.evaluate.clustering_report import ClusteringReport
from pcclust.report.cluster_gallery import gallery_page
from pcclust.report.clustering import clustering_markdown, clustering_table

if TYPE_CHECKING:
    from pcclust.cluster import NumberOfClusters

MethodName = Literal["kmeans", "ward", "spectral", "self-tuning", "gmm", "hdbscan", "own"]
# What serves the untrained features of the training shapes of ModelNet10 turned any way.
COMPONENTS = 32
SHAPES_PER_COMPONENT = 8
# A graph needs shapes of a kind to be near each other: of 2 to 50 shapes a class, drawn from
# ModelNet10, ModelNet40 and furniture, Ward found most classes below 10, the graph from there on,
# and k-means fewer than Ward in all. Its distances are those of all pairs.
LEAST_OF_GRAPH, MOST_OF_GRAPH = 10, 20_000
UNLABELLED_CLUSTERS = 10
AUTO = range(2, 21)  # our choice


def parse_count(text: str) -> int | range:
    """Returns how many clusters are wanted, or which numbers are compared.

    Raises:
        ValueError: neither a number, nor auto, nor a range.

    Example:
        >>> from pcclust.cli.cluster import parse_count
        >>> parse_count("12"), parse_count("5-40"), parse_count("auto")
        (12, range(5, 41), range(2, 21))
    """
    if text == "auto":
        return AUTO
    first, dash, last = text.partition("-")
    if first.isdecimal() and (last.isdecimal() if dash else True):
        return range(int(first), int(last) + 1) if dash else int(first)
    raise ValueError(f"{text!r} is neither a number of clusters, nor auto, nor a range as 5-40")


Count: TypeAlias = Annotated[
    int | range,
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT|auto|FIRST-LAST",
        instance_from_str=lambda given: parse_count(given[0]),
        is_instance=lambda value: isinstance(value, int | range),
        str_from_instance=lambda value: [str(value)],
    ),
]


@dataclass(frozen=True, kw_only=True)
class Cluster(Source):
    """Clusters features or shapes, measures the clusters and shows them.

    With labels: accuracy (Hungarian), NMI, ARI, class-mean accuracy and purity; always: silhouette
    and the perplexity of the sizes. The page has a row of turning shapes for each cluster.

    Features that exceed memory: a folder of shards (of pcclust embed --shards) is read in pieces,
    and several processes share the work: torchrun --nproc-per-node 2 -m pcclust cluster … . Then
    there is k-means alone; the folder gets centers.npy, clusters.json and labels, a file for each
    shard. The same command goes on after an interruption.

    Attributes:
        out: the folder for report.json, report.md, assignments.csv and gallery.html.
        clusters: how many; or "auto", which compares 2 to 20 by criteria that read no label and
            draws them on the page; or a range to compare, as 5-40. By default as many as the run
            has, as classes, or without labels 10 at most.
        method: kmeans (pcclust.KMeans), ward, spectral, self-tuning (spectral, of a graph whose
            scale is local), gmm (Gaussian mixture), hdbscan (by density, as many clusters as there
            are), or own, the clusters of a run of pcclust pretrain; several by repeating it, of
            which the gallery shows the first. By default own where --weights is such a run;
            otherwise self-tuning, ward for fewer than 10 shapes a cluster, and kmeans for more
            than 20,000 shapes.
        seeds: runs of each method that has randomness; numbers are mean ± standard deviation.
        whiten: principal components of unit variance that the features become, 0 for none; by
            default none of given features or a model's, and up to 32 of the untrained ones.
        l2: bring features to length one afterwards; by default where they were whitened by default.
    """

    out: Path = Path("out/cluster")
    clusters: Count | None = None
    method: UseAppendAction[tuple[MethodName, ...]] = field(default=())
    seeds: int = 5
    whiten: int | Literal["auto"] = "auto"
    l2: Literal["auto", "yes", "no"] = "auto"

    def run(self) -> int:
        """Clusters, prints the measures and writes the files."""
        if under_torchrun() or holds_shards(self.source):
            return cluster_together(self, Cluster)
        with locked_folder(self.out):
            return self._run()

    def _run(self) -> int:
        make_folder(self.out)
        shown, test = open_clusterable(self)
        for place in (shown, test):
            if place:
                output.print(f"{place.title}; features: {place.encoder}")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            number = self._compared(shown)
            report = self._clustered(shown, test, number)
        for message in dict.fromkeys(str(warning.message) for warning in caught):
            note(message)
        output.print(drawn(clustering_table(report)))
        for each in report.notes:
            output.print(f"  {each}")
        self._write(report, shown, number)
        failures = [failure for some in (shown, test) if some for failure in some.failures]
        return report_failures(failures)

    def _compared(self, shown: Clusterable) -> "NumberOfClusters | None":
        """Compares numbers of clusters, where that is asked for."""
        if not isinstance(self.clusters, range):
            return None
        # Scikit-learn takes a second and 110 MB: for those who need it.
        from pcclust.cluster import PCAWhitening, number_of_clusters, unit_length

        features, count = shown.features, len(shown.features)
        whiten, l2 = self._preparation(shown, min(UNLABELLED_CLUSTERS, count))
        space = features if whiten is None else PCAWhitening(whiten).fit_transform(features)
        wanted = [number for number in self.clusters if 2 <= number <= count // 2]
        if not wanted:
            raise UsageError(
                f"{count:,} shapes, halved, can be compared in 2 to {count // 2} clusters"
            )
        with progress_bar("numbers") as bar:
            task = bar.add_task("comparing", total=len(wanted))
            found = number_of_clusters(
                unit_length(space) if l2 else space,
                wanted,
                seed=self.seed,
                advance=lambda: bar.advance(task),
            )
        chosen = f"{found.best} clusters, by {found.criterion}; the page has the curves."
        errors.print(" ".join([chosen, *found.doubts]))
        return found

    def _clustered(
        self, shown: Clusterable, test: Clusterable | None, found: "NumberOfClusters | None"
    ) -> ClusteringReport:
        labels = labels_that_measure(shown.shapes)
        number = found.best if found else self._number(shown, labels is not None)
        made = number or len(np.unique([] if labels is None else labels))
        methods = self.method or (_method(len(shown.features), made) if shown.own is None else OWN,)
        whiten, l2 = self._preparation(shown, made)
        runs = sum(self.seeds if METHODS[name].seeded else 1 for name in methods)
        with progress_bar("runs") as bar:
            task = bar.add_task("clustering", total=runs)
            return clustering(
                shown.features,
                labels,
                n_clusters=number,
                methods=methods,
                seeds=self.seeds,
                seed=self.seed,
                whiten=whiten,
                l2=l2,
                test=(test.features, test.shapes.labels if labels is not None else None)
                if test
                else None,
                about=self._about(shown, test),
                own=shown.own,
                advance=lambda: bar.advance(task),
            )

    def _number(self, shown: Clusterable, labelled: bool) -> int | None:
        if isinstance(self.clusters, int):
            return self.clusters
        if shown.own is not None:
            return shown.own.num_clusters
        if labelled:
            return None
        number = min(UNLABELLED_CLUSTERS, max(2, len(shown.features) // 4))
        errors.print(f"Without labels {number} clusters are made; --clusters says how many.")
        return number

    def _preparation(self, shown: Clusterable, clusters: int) -> tuple[int | None, bool]:
        """Returns the components to whiten to, if any, and whether rows get length one.

        Few shapes get a component fewer than clusters, whose means span no more dimensions.
        """
        automatic = self.whiten == "auto" and shown.encoder == UNTRAINED
        components = 0 if self.whiten == "auto" else self.whiten
        if automatic:
            count = len(shown.features)
            components = min(COMPONENTS, max(clusters - 1, count // SHAPES_PER_COMPONENT, 1))
            components = max(1, min(components, count - 1, shown.features.shape[1]))
        if components < 0:
            raise UsageError(f"--whiten {components} must be 0, for none, or more")
        return components or None, automatic if self.l2 == "auto" else self.l2 == "yes"

    def _about(self, shown: Clusterable, test: Clusterable | None) -> dict[str, str]:
        return {
            "data": shown.title,
            "test": test.title if test else "none",
            "features": shown.encoder,
            "rotation": self.rotate,
            "command": shlex.join(["pcclust", *sys.argv[1:]]),
            "pcclust": __version__,
        }

    def _write(
        self, report: ClusteringReport, shown: Clusterable, number: "NumberOfClusters | None"
    ) -> None:
        title = f"Clusters of {Path(self.source).name}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of t-SNE, about the picture alone
            page = gallery_page(report, shown.shapes, title=title, seed=self.seed, number=number)
        files = {
            "report.json": report.to_json(),
            "report.md": clustering_markdown(report),
            "assignments.csv": assignments(report, shown.shapes),
            "gallery.html": page,
        }
        output.print("Look at")
        for name, text in files.items():
            with whole_file(self.out / name) as file:
                file.write(text.encode())
            output.print(f"  {self.out / name}")


def _method(shapes: int, clusters: int) -> MethodName:
    """Returns the method that found most of the classes of labelled shapes of such numbers."""
    if shapes > MOST_OF_GRAPH:
        return "kmeans"
    return "self-tuning" if shapes >= LEAST_OF_GRAPH * clusters else "ward"


def assignments(report: ClusteringReport, shapes: PointDataset) -> str:
    """Returns a table as CSV: each shape's name, its class if known, its cluster by each method.

    Args:
        report: its first runs are told.
        shapes: in the order of the report.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = {method.method: method.runs[0].clusters.tolist() for method in report.methods}
    known = {"name": list(map(visible, shapes.names))}
    if shapes.labels is not None:
        known["class"] = [visible(shapes.class_names[label]) for label in shapes.labels.tolist()]
    writer.writerow([*known, *columns])
    writer.writerows(zip(*known.values(), *columns.values(), strict=True))
    return text.getvalue()
