"""Weights on disk: safetensors, and beside them a card in JSON that says what they are."""

import difflib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from pcclust._files import whole_file
from pcclust._names import todays_names
from pcclust.nn._card import (
    FORMAT,
    REQUIRED,
    Card,
    card_path,
    check_card,
    cut,
    identity,
    shortened,
    versions,
)
from pcclust.nn.weights_source import NAME, locate

PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".tar")
# In the place of a backbone, where there is none: the model takes features.
FEATURES = "features"


def save_weights(
    path: str | os.PathLike[str],
    model: nn.Module,
    card: Mapping[str, Any],
    *,
    dtype: torch.dtype | None = None,
) -> tuple[Path, Path]:
    """Writes the weights of a model and their card, each whole or not at all.

    The card gets the format, the version of pcclust, and the size and SHA-256 of the weights, by
    which `load` knows that they are whole and belong together.

    Args:
        path: a folder, for ``weights.safetensors`` and ``weights.json`` in it, or a file named
            ``*.safetensors``, whose card is the ``.json`` of the same name.
        model: a backbone, a `Classifier` or a `Clusterer`.
        card: ``model`` (the name of the backbone, as `create_backbone` takes it), ``model_kwargs``
            (its arguments) and ``class_names`` (empty for a backbone without a classifier); for a
            `Clusterer` what its `Clusterer.card` says, too; and
            what else is worth knowing: ``num_points``, ``data``, ``config``, ``seed``, results.
        dtype: of the matrices in the file, e.g. float16 for half the size; they are float32 again
            when they are loaded. Vectors and running statistics, which are small and may lie beyond
            its range, are stored as they are, and so is a matrix that it cannot hold. The card's
            ``stored_as`` counts the numbers of each type. None stores all as they are.

    Returns:
        The paths of the weights and of the card.

    Raises:
        ValueError: a card that lacks what `load` needs, or a path that is neither.
        OSError: a file cannot be written; what was there before is kept.

    Example:
        >>> import tempfile
        >>> from pcclust.nn import PointNet
        >>> from pcclust.nn.weights import load, save_weights
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     card = {"model": "pointnet", "model_kwargs": {}, "class_names": []}
        ...     weights, _ = save_weights(folder, PointNet(), card)
        ...     (weights.name, type(load(folder)).__name__)
        ('weights.safetensors', 'PointNet')
    """
    missing = [key for key in REQUIRED[:3] if key not in card]
    if missing:
        raise ValueError(f"the card of the weights lacks {', '.join(missing)}")
    target = _weights_path(Path(path))
    state = _stored(model, dtype)
    content: bytes = safetensors.torch.save(state)
    full = identity() | dict(card)
    full |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    if dtype is not None:
        full["stored_as"] = _count_by_dtype(state)
    described = json.dumps(full, indent=2, ensure_ascii=False).encode()
    with whole_file(target) as weights, whole_file(card_path(target)) as beside:
        weights.write(content)
        weights.flush()
        os.fsync(weights.fileno())  # before the card is replaced: the two belong together
        beside.write(described)
    return target, card_path(target)


def load(what: str | os.PathLike[str]) -> nn.Module:
    """Builds a trained model, ready for use: one that comes with pcclust, or of a run or a file.

    Nothing is unpickled: weights are safetensors, and the card beside them says which model of
    pcclust they fit.

    Args:
        what: the name of weights that come with pcclust; the folder of a run (or any folder that
            `save_weights` wrote into) or a ``*.safetensors`` file; or
            ``hf://OWNER/REPOSITORY[@REVISION]`` of the Hugging Face Hub. A name comes before a
            folder of that name, which is ``./NAME``; see `pcclust.nn.weights_source.locate`.

    Returns:
        The model on the CPU in eval mode: a `Classifier` where the card names classes, a
        `Clusterer` where its task is "clusters", otherwise a backbone. Its attribute ``card`` is
        the card, a dict; `read_card` reads that alone.

    Raises:
        FileNotFoundError: no such name, path or repository, no weights in it, or no card beside.
        ValueError: a pickle; weights that are truncated or are not those of the card; a model or
            settings that this version of pcclust does not know.
        OSError: the Hub cannot be reached.
        ImportError: weights of the Hub without huggingface_hub.

    Example:
        >>> import pcclust, torch
        >>> encoder = pcclust.load("clusternet-contrastnet-modelnet40")  # doctest: +SKIP
        >>> encoder(torch.rand(2, 1024, 3)).shape  # doctest: +SKIP
        torch.Size([2, 2048])
    """
    from pcclust.nn.feature_stack import shapes_only

    target, card, state = checked_weights(what)
    if ":" not in card["model"]:  # what the card asks for may be larger than any memory
        with shapes_only():
            _check_fit(build_of_card(card, target), state, card, target)
    model = build_of_card(card, target)
    _check_fit(model, state, card, target)
    model.load_state_dict(state)
    model.__dict__["card"] = card  # not a parameter: nn.Module's own way is for tensors
    return model.eval()


def checked_weights(what: str | os.PathLike[str]) -> tuple[Path, Card, dict[str, Tensor]]:
    """Returns the file, the card and the tensors of weights that are whole; raises as `load`."""
    target = _weights_path(locate(what))
    card = _card_of(target)
    content = target.read_bytes()
    _check_content(content, card, target)
    return target, card, _tensors(content, target)


def read_card(what: str | os.PathLike[str]) -> Card:
    """Reads the card of a run or of a file of weights, without the weights.

    Args:
        what: as for `load`.

    Raises:
        FileNotFoundError: no such name, path or repository, no weights in it, or no card beside.
        ValueError: a pickle, or a file that is no card of weights of pcclust.
        OSError: the Hub cannot be reached.
    """
    return _card_of(_weights_path(locate(what)))


def _card_of(target: Path) -> Card:
    if not target.is_file():
        raise FileNotFoundError(_why_no_weights(target))
    beside = card_path(target)
    if not beside.is_file():
        raise FileNotFoundError(
            f"{target} has no card {beside.name} beside it, which says what model it fits: copy "
            "both files together"
        )
    try:
        card = todays_names(json.loads(beside.read_bytes()))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{beside} is not JSON ({error}): copy it again") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise ValueError(f'{beside} is no card of {FORMAT}: it lacks "format": "{FORMAT}"')
    missing = [key for key in REQUIRED if key not in card]
    if missing:
        raise ValueError(f"{beside} lacks {', '.join(missing)}{versions(card)}")
    check_card(card, beside)
    return card


def _tensors(content: bytes, path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load(content)
    except Exception as error:  # of its own kind, or of torch's for types that torch has not
        raise ValueError(f"{path} is not a safetensors file ({error}): copy it again") from error


def _stored(model: nn.Module, dtype: torch.dtype | None) -> dict[str, Tensor]:
    """Returns the tensors as they are stored."""
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    if dtype is None:
        return state
    matrices = {name for name, parameter in model.named_parameters() if parameter.dim() > 1}
    for name in matrices & state.keys():  # a stack leaves out what comes with pcclust
        narrowed = state[name].to(dtype)
        if narrowed.isfinite().all():
            state[name] = narrowed
    return state


def _count_by_dtype(state: Mapping[str, Tensor]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for value in state.values():
        counts[str(value.dtype).removeprefix("torch.")] += value.numel()
    return dict(counts)


def _weights_path(path: Path) -> Path:
    if path.suffix.lower() in PICKLES:
        hint = (
            f"to use the weights of this run give its folder, {path.parent}"
            if path.with_name("config.yaml").is_file()
            else "where you trust it, read it with torch.load(path, weights_only=True), put it "
            "into the model and write that with pcclust.nn.weights.save_weights"
        )
        raise ValueError(f"{path} is a pickle, and pcclust loads only safetensors: {hint}")
    return path if path.suffix.lower() == ".safetensors" else path / NAME


def _why_no_weights(target: Path) -> str:
    folder = target.parent
    if (folder / "config.yaml").is_file():
        return f"{folder} is a run without weights: its first epoch is not complete yet"
    return f"{folder} holds no weights; expected {target}"


def _check_content(content: bytes, card: Card, path: Path) -> None:
    if len(content) != card["size"]:
        cut = "is cut short" if len(content) < card["size"] else "is not the file of its card"
        raise ValueError(
            f"{path} {cut}: {len(content):,} bytes where {card_path(path).name} says "
            f"{card['size']:,}; copy both files again"
        )
    found = hashlib.sha256(content).hexdigest()
    if found != card["sha256"]:
        raise ValueError(
            f"{path} is damaged or not the file of its card: SHA-256 {found[:16]}… where "
            f"{card_path(path).name} says {card['sha256'][:16]}…; copy both files again, or go "
            "on with the run that was writing them"
        )


def build_of_card(card: Card, path: Path) -> nn.Module:
    """Returns the model of a card, untrained; raises ValueError where pcclust knows no such."""
    from pcclust.nn import AutoEncoder, Classifier, Clusterer, GivenFeatures, create_backbone
    from pcclust.nn.auto_encoder import Embedded
    from pcclust.nn.backbones import check_allowed
    from pcclust.nn.cluster_heads import create_cluster_head

    try:
        check_allowed(card["model"], card["model_kwargs"])
        if card["model"] == FEATURES:
            backbone: nn.Module = GivenFeatures(**card["model_kwargs"])
        else:
            backbone = create_backbone(card["model"], **card["model_kwargs"])
        if card.get("task") == "clusters":
            return Clusterer(backbone, create_cluster_head(card["head"]))
        if card.get("task") == "reconstruction":
            return AutoEncoder(backbone, Embedded(**card["decoder"]))
    except Exception as error:  # settings of any kind fail in any way
        reason = cut(str(error).partition("\n")[0] or type(error).__name__, 400)
        raise ValueError(
            f"{path}: {cut(card['model'])} with {shortened(card['model_kwargs'])} cannot be built "
            f"({reason}){versions(card)}"
        ) from error
    classes = len(card["class_names"])
    return Classifier(backbone, classes) if classes else backbone


def _check_fit(model: nn.Module, state: dict[str, Tensor], card: Card, path: Path) -> None:
    """Raises ValueError unless the tensors of a file are all those of the model."""
    own = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    given = {name: tuple(value.shape) for name, value in state.items()}
    wrong = sorted(set(own.items()) ^ set(given.items()))
    if wrong:
        name = wrong[0][0]
        nearest = "".join(difflib.get_close_matches(name, set(own) - {name}, n=1))
        raise ValueError(
            f"{path} does not fit {card['model']}: {name} is {given.get(name, 'not in it')}, the "
            f"model has {own.get(name, nearest or 'no such tensor')}{versions(card)}"
        )
    for name, value in model.state_dict().items():
        if state[name].is_floating_point() != value.is_floating_point():
            raise ValueError(
                f"{path} does not fit {card['model']}: {name} is {state[name].dtype}, the model "
                f"has {value.dtype}{versions(card)}"
            )
        if not state[name].isfinite().all():
            raise ValueError(f"{path} holds NaN or inf in {name}: the training has diverged")
