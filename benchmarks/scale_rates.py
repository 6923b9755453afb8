"""What a shape costs one core here, stage by stage: seconds of its processor time, and bytes."""

import io
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

import pcclust
from benchmarks import clouds
from pcclust.data import read_points
from pcclust.data.rri_batch import describe_readable
from pcclust.data.streaming import NamedCloud
from pcclust.distributed.manifest import boundaries, encode_manifest
from pcclust.distributed.shard_file import ShardAbout, decode_shard, encode_shard
from pcclust.distributed.sources import Piece
from pcclust.evaluate.embedding import encoder_of
from pcclust.evaluate.forward import Predictor
from pcclust.nn import ClusterNet
from pcclust.nn.weights_source import DEFAULT
from pcclust.training.allocator import keep_freed_memory

POINTS = 1024
WIDTH = 2048
ROUNDS = 3
K = 1000
RESULTS = Path(__file__).with_name("RESULTS.md")


class Rates(NamedTuple):
    """Seconds of one core, and what else was measured.

    Attributes:
        plan: to write a file into the list of shapes.
        mesh: to read a mesh and sample it, a shape.
        cloud: to read an NPY file of 1,024 points.
        rri: features of the points of a shape, k = 20.
        vector: of a shape by the encoder that comes with pcclust.
        write: of a vector of float16 into a shard.
        read: of it from there.
        assign: of a multiply-add of k-means.
        train: of a shape and epoch, both cores of the machine that it was trained on together.
        mesh_bytes: of a mesh file.
        row_bytes: of a vector in a shard, with its name.
        plan_memory: bytes of memory that the list takes a file as it is written.
        plan_bytes: of a file in the list.
    """

    plan: float
    mesh: float
    cloud: float
    rri: float
    vector: float
    write: float
    read: float
    assign: float
    train: float
    mesh_bytes: float
    row_bytes: float
    plan_memory: float
    plan_bytes: float


def measured(folder: Path) -> Rates:
    """Measures on one thread; processor time, so that what else runs here counts little.

    Args:
        folder: of meshes.
    """
    with _one_thread():
        meshes = sorted(folder.glob("*.obj"))
        shapes = clouds.shapes(64, POINTS, 1.0).numpy()
        file = io.BytesIO()
        np.save(file, shapes[0])
        place = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path.cwd()
        cloud = place / "pcclust-scale.npy"
        cloud.write_bytes(file.getvalue())
        try:
            return Rates(
                **_plan(),
                mesh=_seconds(lambda: [read_points(mesh, POINTS) for mesh in meshes], len(meshes)),
                cloud=_seconds(lambda: [read_points(cloud, POINTS) for _ in range(200)], 200),
                rri=_rri(shapes),
                vector=_vector(torch.from_numpy(shapes)),
                **_shards(),
                assign=_assign(),
                train=_train(),
                mesh_bytes=float(np.mean([mesh.stat().st_size for mesh in meshes])),
            )
        finally:
            cloud.unlink()


def flops_of_a_vector() -> float:
    """Returns the multiplications and additions of products of ClusterNet, for 1,024 points."""
    network = ClusterNet()
    sizes = (POINTS, *network.num_clusters)
    total = 0
    for name, weight in network.named_parameters():
        if weight.dim() == 2:
            kind, level = name.split(".")[:2]
            rows = sizes[int(level)]
            if "rri_module" in name:
                rows *= network.neighbors[int(level)]  # each neighbour has a row of its own
            total += 2 * weight.numel() * rows
            assert kind in ("levels", "abstractions", "poolings")
    return float(total)


def _plan() -> dict[str, float]:
    count = 50_000
    starts = boundaries(count, 32, 100)

    def write() -> bytes:
        pieces = [
            Piece(f"s3://bucket/scans/{at:012d}.npy", 0, 1, False, 12_416, f'"{at:032x}"')
            for at in range(count)
        ]
        return encode_manifest(pieces, starts, {})

    seconds = _seconds(write, count)
    tracemalloc.start()
    content = write()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {"plan": seconds, "plan_memory": peak / count, "plan_bytes": len(content) / count}


def _rri(shapes: np.ndarray) -> float:
    named = [NamedCloud(str(at), points) for at, points in enumerate(shapes[:32])]
    return _seconds(lambda: describe_readable(named, 20), 32)


def _vector(shapes: torch.Tensor) -> float:
    keep_freed_memory()
    predictor = Predictor(encoder_of(DEFAULT), shapes, layout="BN3")
    return _seconds(lambda: predictor(shapes[:32]), 32)


def _shards() -> dict[str, float]:
    count = 8192
    vectors = np.random.default_rng(0).normal(size=(count, WIDTH)).astype(np.float16)
    about = ShardAbout(kind="embed", model="", plan="", shard=0, shards=1)
    rows: dict[str, object] = {
        "name": [f"s3://bucket/scans/{at:012d}.npy" for at in range(count)],
        "label": np.zeros(count, np.int64),
        "size": np.full(count, POINTS),
        "features": vectors,
    }
    content = encode_shard(rows, about)
    return {
        "write": _seconds(lambda: encode_shard(rows, about), count),
        "read": _seconds(lambda: decode_shard(content, "shard"), count),
        "row_bytes": len(content) / count,
    }


def _assign() -> float:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(8192, 256, generator=generator)
    iterations = 4
    means = pcclust.KMeans(K, init="random", n_init=1, max_iter=iterations, tol=0, random_state=0)
    return _seconds(lambda: means.fit(rows), rows.numel() * K * iterations)


def _train() -> float:
    """Returns what the card of the weights that come with pcclust says of their training."""
    card = pcclust.load(DEFAULT).__dict__["card"]
    return float(card["seconds"] / (card["epoch"] * card["data"]["shapes"]))


def _seconds(work: Callable[[], object], count: int) -> float:
    """Returns the processor time of a part of some work: the least of some rounds."""
    work()
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.process_time()
        work()
        best = min(best, time.process_time() - begun)
    return best / count


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
