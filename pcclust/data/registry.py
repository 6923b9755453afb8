"""Where the public datasets come from, under which terms, and how to know that they are whole.

Sizes and SHA-256 are given where they are published (by TensorFlow Graphics for ModelNet40, by the
mirror's own file index for ShapeNetPart). Where they are not, `pcclust data fetch` records those of
the first download and says so.
"""

from dataclasses import dataclass

_PRINCETON = (
    "All CAD models were downloaded from the Internet; the original authors hold their copyright. "
    "Provided for the convenience of academic research only (modelnet.cs.princeton.edu)."
)
_SHAPENET = (
    "ShapeNet terms of use: non-commercial research and education only; registration at "
    "shapenet.org is asked for."
)


@dataclass(frozen=True)
class Source:
    """One file to fetch, or the place where a gated one is asked for.

    Attributes:
        name: what the command line calls it.
        title: what it is.
        terms: the licence terms, shown before anything is downloaded.
        mirrors: URLs of the same bytes, tried in this order; none where the source is gated.
        result: the folder that the archive holds, or the file's name if it is no archive.
        size: bytes, if known.
        sha256: of the file, if known.
        gate: where and how to ask for the data, for sources that must not be fetched without.
    """

    name: str
    title: str
    terms: str
    mirrors: tuple[str, ...]
    result: str
    size: int | None = None
    sha256: str | None = None
    gate: str | None = None


SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Source(
            "modelnet40-hdf5",
            "ModelNet40, 2,048 points of each of 12,308 shapes, HDF5 (PointNet); gravity y",
            _PRINCETON,
            (
                "https://shapenet.cs.stanford.edu/media/modelnet40_ply_hdf5_2048.zip",
                "https://huggingface.co/datasets/Msun/modelnet40/resolve/main/"
                "modelnet40_ply_hdf5_2048.zip",
            ),
            "modelnet40_ply_hdf5_2048",
            435_212_151,
            "07670e237db72ece0f723b9abb571534c9ad655a6456b389646587dc72bb8bae",
        ),
        Source(
            "modelnet40-meshes",
            "ModelNet40, 12,311 OFF meshes; gravity z",
            _PRINCETON,
            (
                "https://modelnet.cs.princeton.edu/ModelNet40.zip",
                "http://modelnet.cs.princeton.edu/ModelNet40.zip",
            ),
            "ModelNet40",
            2_039_180_837,
            "42dc3e656932e387f554e25a4eb2cc0e1a1bd3ab54606e2a9eae444c60e536ac",
        ),
        Source(
            "modelnet10-meshes",
            "ModelNet10, 4,899 OFF meshes, aligned; gravity z",
            _PRINCETON,
            (
                "http://3dvision.princeton.edu/projects/2014/3DShapeNets/ModelNet10.zip",
                "http://vision.princeton.edu/projects/2014/3DShapeNets/ModelNet10.zip",
            ),
            "ModelNet10",
        ),
        Source(
            "modelnet40-normals",
            "ModelNet40, 10,000 points and normals of each shape, text (PointNet++); gravity y",
            _PRINCETON,
            ("https://shapenet.cs.stanford.edu/media/modelnet40_normal_resampled.zip",),
            "modelnet40_normal_resampled",
        ),
        Source(
            "shapenetpart",
            "ShapeNetPart, points, normals and parts of 16,881 shapes, text; gravity y",
            _SHAPENET,
            (
                "https://shapenet.cs.stanford.edu/media/"
                "shapenetcore_partanno_segmentation_benchmark_v0_normal.zip",
                "https://huggingface.co/datasets/wangps/shapenet_segmentation/resolve/"
                "dbde146b974e1fc8628b47b1b1c4e50d8bc1a2ef/"
                "shapenetcore_partanno_segmentation_benchmark_v0_normal.zip",
            ),
            "shapenetcore_partanno_segmentation_benchmark_v0_normal",
            706_988_960,
            "0e26411700bae2da38ee8ecc719ba4db2e6e0133486e258665952ad5dfced0fe",
        ),
        Source(
            "shapenetpart-hdf5",
            "ShapeNetPart, 2,048 points of each shape, HDF5 (PointNet); gravity y",
            _SHAPENET,
            ("https://shapenet.cs.stanford.edu/media/shapenet_part_seg_hdf5_data.zip",),
            "hdf5_data",
        ),
        Source(
            "shapenetcore-split",
            "the official train, val and test lists of ShapeNetCore",
            _SHAPENET,
            ("http://shapenet.cs.stanford.edu/shapenet/obj-zip/SHREC16/all.csv",),
            "all.csv",
            3_249_007,
            "f73c15b7c3eaaa38557768709801cbbd5919d305acc8e408e50cc104ed7136ab",
        ),
        Source(
            "shapenetcore",
            "ShapeNetCore, 51,300 OBJ meshes of 55 classes; gravity y",
            _SHAPENET,
            (),
            "ShapeNetCore.v2",
            gate="register and accept the terms at https://huggingface.co/datasets/ShapeNet/"
            "ShapeNetCore, then unpack it as <data>/ShapeNetCore.v2",
        ),
        Source(
            "scanobjectnn",
            "ScanObjectNN, 2,902 scanned objects of 15 classes in six variants; gravity y",
            "Terms of use of the authors, accepted in their form; research only.",
            (),
            "h5_files",
            gate="accept the terms in the form at https://hkust-vgd.github.io/scanobjectnn, then "
            "unpack h5_files.zip as <data>/h5_files",
        ),
    )
}


def find_source(name: str) -> Source:
    """Returns the source of that name.

    Raises:
        ValueError: there is none; names those that there are.
    """
    if name not in SOURCES:
        raise ValueError(f"no dataset {name!r}; there are {', '.join(SOURCES)}")
    return SOURCES[name]
