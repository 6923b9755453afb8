"""RRI features as PLY or PCD files, for any viewer of point clouds."""

import os
import re
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcclust.data.formats.pcd import write_pcd
from pcclust.data.partial_output import FeatureBatch, FeatureOutput, Settings


class CloudFolder(FeatureOutput):
    """One PLY or PCD file per shape, with the features of a point as scalars."""

    def __init__(self, out: Path, settings: Settings, resume: bool, names: Sequence[str]) -> None:
        """Decides the file of each shape."""
        super().__init__(out, settings, resume)
        self.files = cloud_files(names, settings.format)

    def done(self) -> set[str]:
        """Returns the shapes whose file is there."""
        return {name for name, file in self.files.items() if (self.partial / file).exists()}

    def add(self, batch: FeatureBatch) -> None:
        """Writes a file for each shape."""
        ends = np.cumsum(batch.sizes)[:-1]
        for name, centroid, points, features in zip(
            batch.names,
            batch.centroids,
            np.split(batch.points, ends),
            np.split(batch.features, ends),
            strict=True,
        ):
            path = self.partial / self.files[name]
            temporary = self.partial / f"writing{path.suffix}"
            with self.folder.completing():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_cloud(temporary, points + centroid, point_scalars(features))
                temporary.replace(path)

    def finish(self) -> str:
        """Gives the folder its final name."""
        count = len(self.done())
        if self.out.is_dir():
            self.out.rmdir()  # it is empty
        self.partial.replace(self.out)
        scalars = ", ".join(point_scalars(np.zeros((1, 1, 4), np.float32)))
        return f"{count} {self.settings.format.upper()} files with the scalars {scalars}"


def cloud_files(names: Collection[str], suffix: str) -> dict[str, Path]:
    """Gives each shape a file of its own below the output folder.

    Args:
        names: as `pcclust.data.name_clouds` gives them.
        suffix: of the files, ``"ply"`` or ``"pcd"``.

    Returns:
        Paths relative to the folder that all inputs share: ``chairs/a.off`` becomes ``a.ply``,
        and ``many.h5[3]`` ``many_3.ply``; those that would coincide keep their old ending as well.
    """
    parts = {name: _split_name(name) for name in names}
    root = Path(os.path.commonpath([path.parent for path, _ in parts.values()]))
    short = {n: path.with_suffix("").name + tail for n, (path, tail) in parts.items()}
    places = {name: path.parent.relative_to(root) for name, (path, _) in parts.items()}
    users = Counter(places[name] / short[name] for name in names)
    return {
        name: places[name]
        / f"{short[name] if users[places[name] / short[name]] == 1 else path.name + tail}.{suffix}"
        for name, (path, tail) in parts.items()
    }


def _split_name(name: str) -> tuple[Path, str]:
    """Splits ``many.h5[3]`` into the absolute path of the file and ``_3``."""
    index = re.search(r"\[(\d+)\]$", name)
    file = name if index is None else name[: index.start()]
    return Path(os.path.normpath(Path(file).absolute())), f"_{index[1]}" if index else ""


def point_scalars(features: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Reduces the features of each point to four scalars.

    Args:
        features: ``(N, k, 4)`` of r_i, r_ik, θ_ik, φ_ik.

    Returns:
        ``(N,)`` each: the radius r_i; the means of r_ik and θ_ik over the k neighbours; and the
        largest φ_ik, since the gaps of a point sum to 2π and their mean says nothing.
    """
    return {
        "r": features[:, 0, 0],
        "neighbor_r_mean": features[:, :, 1].mean(axis=1),
        "theta_mean": features[:, :, 2].mean(axis=1),
        "phi_max": features[:, :, 3].max(axis=1),
    }


def write_cloud(
    path: Path, points: NDArray[np.float64], scalars: dict[str, NDArray[np.float32]]
) -> None:
    """Writes a cloud with scalars; PLY holds float32 positions, PCD float64.

    Args:
        path: a name ending in ``.ply`` or ``.pcd``.
        points: ``(N, 3)``.
        scalars: ``(N,)`` each.

    Raises:
        OSError: the file cannot be written.
    """
    if path.suffix == ".ply":
        import trimesh

        mesh: Any = trimesh.Trimesh(points, vertex_attributes={**scalars}, process=False)
        path.write_bytes(mesh.export(file_type="ply"))
        return
    write_pcd(path, points, scalars)
