"""Small datasets in the official layouts, as their archives unpack."""

import json
from pathlib import Path

import h5py
import numpy as np

TRIANGLES = "OFF\n4 4 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 2 1\n3 0 1 3\n3 0 3 2\n3 1 2 3\n"
CUBE_OBJ = (
    "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nv 0 0 1\nv 1 0 1\nv 1 1 1\nv 0 1 1\n"
    "f 1 3 2\nf 1 4 3\nf 5 6 7\nf 5 7 8\nf 1 2 6\nf 1 6 5\nf 3 4 8\nf 3 8 7\nf 2 3 7\nf 2 7 6\n"
    "f 1 5 8\nf 1 8 4\n"
)


def clouds(count: int, points: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, points, 3)).astype(np.float32)


def write_h5(path: Path, **arrays: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for key, values in arrays.items():
            file.create_dataset(key, data=values, compression="gzip")


def modelnet_off(root: Path, classes: list[str], per_split: int = 2) -> Path:
    for kind in classes:
        for split in ("train", "test"):
            (root / kind / split).mkdir(parents=True)
            for number in range(per_split):
                (root / kind / split / f"{kind}_{split}{number:04d}.off").write_text(TRIANGLES)
    return root


def modelnet_ply_hdf5(
    root: Path, class_names: list[str], names: bool = True
) -> dict[str, np.ndarray]:
    """Writes two train files and one test file of 5 shapes; returns all points by split."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "shape_names.txt").write_text("\n".join(class_names) + "\n")
    points: dict[str, list[np.ndarray]] = {"train": [], "test": []}
    for split, count in (("train", 2), ("test", 1)):
        listed = []
        for number in range(count):
            data = clouds(5, 32, seed=10 * number + len(split))
            file = root / f"ply_data_{split}{number}.h5"
            labels = np.arange(5, dtype=np.uint8)[:, None] % len(class_names)
            write_h5(file, data=data, label=labels, normal=data)
            listed.append(f"data/modelnet40_ply_hdf5_2048/{file.name}")
            if names:
                entries = [f"shape/{split}/shape_{number}{row:03d}.ply" for row in range(5)]
                listing = root / f"ply_data_{split}_{number}_id2file.json"
                listing.write_text(json.dumps(entries))
            points[split].append(data)
        (root / f"{split}_files.txt").write_text("\n".join(listed) + "\n")
    return {split: np.concatenate(parts) for split, parts in points.items()}


def modelnet_normals(root: Path, class_names: list[str], points: int = 40) -> dict[str, np.ndarray]:
    """Writes one train and one test shape of each class; returns the rows of each shape."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "modelnet40_shape_names.txt").write_text("\n".join(class_names) + "\n")
    rows = {}
    for split, number in (("train", 1), ("test", 2)):
        names = [f"{kind}_{number:04d}" for kind in class_names]
        (root / f"modelnet40_{split}.txt").write_text("\n".join(names) + "\n")
        for seed, (kind, name) in enumerate(zip(class_names, names, strict=True)):
            table = np.hstack([clouds(1, points, seed)[0]] * 2)
            (root / kind).mkdir(exist_ok=True)
            np.savetxt(root / kind / f"{name}.txt", table, delimiter=",", fmt="%.6f")
            rows[name] = table
    return rows


def shapenetpart_tree(root: Path, points: int = 40) -> dict[str, np.ndarray]:
    """Writes two classes of three shapes, one for each split; returns the rows of each shape."""
    synsets = {"Airplane": "02691156", "Chair": "03001627"}
    lines = (f"{name}\t{synset}" for name, synset in synsets.items())
    (root / "train_test_split").mkdir(parents=True, exist_ok=True)
    (root / "synsetoffset2category.txt").write_text("\n".join(lines) + "\n")
    rows = {}
    for at, split in enumerate(("train", "val", "test")):
        entries = []
        for synset in synsets.values():
            name = f"{synset}/model{at}"
            parts = np.arange(points)[:, None] % 4
            rows[name] = np.hstack([clouds(1, points, at)[0], clouds(1, points, 9)[0], parts])
            (root / synset).mkdir(exist_ok=True)
            np.savetxt(root / f"{name}.txt", rows[name], fmt="%.6f")
            entries.append(f"shape_data/{name}")
        listing = root / "train_test_split" / f"shuffled_{split}_file_list.json"
        listing.write_text(json.dumps(entries))
    return rows


def shapenetpart_hdf5(root: Path) -> np.ndarray:
    root.mkdir(parents=True, exist_ok=True)
    (root / "all_object_categories.txt").write_text("Airplane\t02691156\nChair\t03001627\n")
    data = clouds(6, 32)
    for split in ("train", "val", "test"):
        (root / f"{split}_hdf5_file_list.txt").write_text(f"ply_data_{split}0.h5\n")
        labels = np.arange(6, dtype=np.uint8)[:, None] % 2
        parts = np.arange(6 * 32, dtype=np.uint8).reshape(6, 32) % 50
        write_h5(root / f"ply_data_{split}0.h5", data=data, label=labels, pid=parts)
    return data


def shapenetcore(root: Path, version: int) -> Path:
    """Writes two classes of three models, one for each split, with taxonomy and CSV."""
    synsets = {"02691156": "airplane,aeroplane,plane", "03001627": "chair"}
    rows = ["id,synsetId,subSynsetId,modelId,split"]
    for synset in synsets:
        for number, split in enumerate(("train", "val", "test")):
            model = root / synset / f"model{number}"
            path = model / ("models/model_normalized.obj" if version == 2 else "model.obj")
            path.parent.mkdir(parents=True)
            path.write_text(CUBE_OBJ)
            # The official CSV has lost the leading zeros in spreadsheets of some releases.
            rows.append(f"{len(rows):06d},{synset},{synset},model{number},{split}")
    (root / "all.csv").write_text("\n".join(rows) + "\n")
    taxonomy = [{"synsetId": synset, "name": name} for synset, name in synsets.items()]
    if version == 1:
        taxonomy = [{"metadata": {"name": s, "label": name}} for s, name in synsets.items()]
    (root / "taxonomy.json").write_text(json.dumps(taxonomy))
    return root


def scanobjectnn(root: Path) -> dict[str, np.ndarray]:
    """Writes every official file; returns the points of each."""
    suffixes = ("", "_augmented25_norot", "_augmented25rot", "_augmentedrot")
    written = {}
    for group in ("main_split", "main_split_nobg"):
        for suffix in (*suffixes, "_augmentedrot_scale75"):
            for split in ("training", "test"):
                name = f"{group}/{split}_objectdataset{suffix}.h5"
                data = clouds(15, 32, seed=len(written))
                labels, mask = np.arange(15, dtype=np.int32), np.zeros((15, 32), np.int32)
                write_h5(root / name, data=data, label=labels, mask=mask)
                written[name] = data
    return written
