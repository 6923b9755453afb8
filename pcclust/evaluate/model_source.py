"""Models by name: runs of pcclust, and any module or function in a file or package of the user."""

import ast
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pcclust._user_code import named_object
from pcclust.data.dataset import UpAxis
from pcclust.evaluate.forward import Model
from pcclust.evaluate.model_programs import is_program, load_program
from pcclust.evaluate.rotation_report import Trained
from pcclust.evaluate.state_names import unnested, unwrapped
from pcclust.nn.weights_source import NAME, forms, hint, is_path, locate

# How `pcclust train` turns its shapes, and the orientation that this is.
TRAINED: dict[str | None, Trained] = {"none": "upright", "z": "z", "so3": "SO3"}


@dataclass(frozen=True)
class FoundModel:
    """A model and what is known about it.

    Attributes:
        model: to be asked.
        name: as it was asked for.
        class_names: of its outputs; empty where that is not known.
        trained: the orientation of its training shapes, None where that is not known.
        num_points: of its training shapes, None where that is not known.
        missing_classes: those of its classes that no training shape had.
        dataset: that it was trained on, None where that is not known.
        up_axis: of these shapes, where it had to be named.
        head: that gives features a score for each cluster; None where it has none.
    """

    model: Model
    name: str
    class_names: tuple[str, ...] = ()
    trained: Trained | None = None
    num_points: int | None = None
    missing_classes: tuple[str, ...] = ()
    dataset: str | None = None
    up_axis: UpAxis | None = None
    head: nn.Module | None = None

    @property
    def size(self) -> str:
        """What it is and how many parameters it has."""
        if not isinstance(self.model, nn.Module):
            return "function"
        count = sum(parameter.numel() for parameter in self.model.parameters())
        return f"{type(self.model).__name__}, {count:,} parameters"


def find_model(
    source: str, weights: str | os.PathLike[str] | None = None, *, features: bool = False
) -> FoundModel:
    """Finds a model.

    Args:
        source: what `pcclust.load` takes (the folder of a run, a ``.safetensors`` file that pcclust
            wrote, weights that come with pcclust, ``hf://OWNER/REPOSITORY``), ``file.py:name`` or
            ``package.module:name`` of a ``torch.nn.Module``, of a class or function without
            arguments that makes one (``file.py:Name(40, width=2)`` with them), or of a function of
            a batch of clouds; or a program of torch.export (``.pt2``) or TorchScript.
        weights: what to load into a module of the user's: ``.safetensors``, ``.pt`` of tensors
            alone (it is read with ``weights_only=True``, so nothing in it is executed), or what
            `pcclust.load` takes.
        features: whether features are wanted: of a classifier of pcclust its backbone's.

    Raises:
        FileNotFoundError: no such run, file or module.
        ValueError: a name that is not there or no model, or weights that do not fit.
        ImportError: what the model imports is not there.

    Example:
        >>> find_model("torch.nn:Identity").size
        'Identity, 0 parameters'
    """
    if is_program(Path(source)):
        if weights is not None:
            raise ValueError(f"{source} brings its own weights: leave --weights out")
        return FoundModel(load_program(Path(source)), source)
    if ":" in source and is_path(source) and not Path(source).exists():
        model = _of_user(source)
        if weights is not None:
            _fill(model, weights, source)
        return FoundModel(_encoder(model, source) if features else model, source)
    if weights is not None:
        raise ValueError(f"{source} brings its own weights: leave --weights out")
    if is_path(source) and not Path(source).exists():
        raise FileNotFoundError(f"there is no model {source}{hint(source)}: {_forms()}")
    return _of_run(source, features)


def _of_run(source: str, features: bool) -> FoundModel:
    from pcclust.nn import Clusterer
    from pcclust.nn.weights import load

    model = load(source)
    card: dict[str, Any] = model.__dict__["card"]
    config = card.get("config") or {}
    found = FoundModel(
        _encoder(model, source) if features else model,
        source,
        tuple(card["class_names"]),
        TRAINED.get(config.get("rotation")),
        card.get("num_points"),
        tuple(card.get("missing_classes", ())),
        config.get("dataset"),
        config.get("up_axis"),
        model.head if isinstance(model, Clusterer) else None,
    )
    if not features and not found.class_names:
        raise ValueError(f"{source} is a backbone without a classifier: test its --features")
    return found


def _forms() -> str:
    return f"give {forms()}, file.py:name or package.module:name"


def _encoder(model: Model, source: str) -> Model:
    """Returns what gives features: of pcclust's classifiers and clusterers their backbone."""
    from pcclust.nn.clusterer import encoder_of_shapes

    return encoder_of_shapes(model, source) if isinstance(model, nn.Module) else model


def _of_user(source: str) -> Model:
    """Returns a model of the user's: ``file.py:name``, perhaps with arguments in brackets."""
    place, bracket, given = source.partition("(")
    found = named_object(place)
    if not bracket:
        return _made(found, source)
    positional, named = _arguments(given, source)
    if not callable(found):
        raise ValueError(f"{place} is a {type(found).__name__}, which takes no arguments")
    return _made_by(lambda: found(*positional, **named), source)


def _arguments(text: str, source: str) -> tuple[list[Any], dict[str, Any]]:
    """Returns what stands in the brackets of a call, where all of it is written out."""
    try:
        call = ast.parse(f"f({text}", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError("it is no call")
        named = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords if word.arg}
        return [ast.literal_eval(each) for each in call.args], named
    except (ValueError, SyntaxError, RecursionError) as error:
        raise ValueError(
            f"{source}: the arguments must be numbers, texts, lists, True, False or None, as in "
            f"file.py:Name(40, width=0.5) ({error})"
        ) from error


def _made(found: object, source: str) -> Model:
    """Returns the model: itself, or what a class or a function without arguments makes."""
    if isinstance(found, nn.Module):
        return found
    if not callable(found):
        raise ValueError(f"{source} is a {type(found).__name__}, neither a module nor a function")
    needed = _needed_arguments(found)
    if not isinstance(found, type) and needed:
        if len(needed) > 1:
            raise ValueError(f"{source} needs {', '.join(needed)}; a model takes one batch alone")
        return found
    if needed:
        raise ValueError(
            f"{source} cannot be made without {', '.join(needed)}: give them as in "
            f"'{source}({needed[0]}=…)', or name a function without arguments that makes it"
        )
    return _made_by(found, source)


def _made_by(maker: Callable[[], object], source: str) -> Model:
    try:
        made = maker()
    except (Exception, SystemExit) as error:
        raise ValueError(f"{source} cannot be made: {type(error).__name__}: {error}") from error
    if not callable(made):
        raise ValueError(f"{source} made a {type(made).__name__}, neither a module nor a function")
    model: Model = made
    return model


def _needed_arguments(found: Callable[..., object]) -> list[str]:
    """Returns the names of the arguments that have no default."""
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):  # of some built-in functions it is not known
        return ["clouds"]
    more = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in more]


def _fill(model: Model, weights: str | os.PathLike[str], source: str) -> None:
    """Loads weights into a module, all of them and no others."""
    if not isinstance(model, nn.Module):
        raise ValueError(f"{source} is a function, which takes no --weights")
    path = Path(weights) if is_path(weights) else locate(weights)
    own, given = model.state_dict(), _read(path / NAME if path.is_dir() else path)
    try:
        given = unwrapped(given, own)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    shapes = ({name: tuple(value.shape) for name, value in state.items()} for state in (own, given))
    wants, has = shapes
    wrong = sorted(name for name, _ in set(wants.items()) ^ set(has.items()))
    if wrong:
        name = wrong[0]
        raise ValueError(
            f"{path} does not fit {source}, in {len(set(wrong))} of its tensors: {name} is "
            f"{has.get(name, 'not in it')}, the model has {wants.get(name, 'no such tensor')}; "
            "are they weights of another model, or of other settings?"
        )
    model.load_state_dict(given)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of weights {path}")
    try:
        state: Any = load_file(path) if path.suffix == ".safetensors" else _read_pt(path)
    except Exception as error:  # damage shows as nearly any exception
        raise ValueError(
            f"{path} holds no weights that can be read safely: {str(error).splitlines()[0]} "
            "Copy it again if it is cut short; if it holds more than tensors, save the "
            "state_dict() alone, best as safetensors"
        ) from error
    state = unnested(state)
    if not isinstance(state, dict) or not all(isinstance(x, Tensor) for x in state.values()):
        raise ValueError(f"{path} is no state_dict(): save model.state_dict() alone")
    return state


def _read_pt(path: Path) -> object:
    read: object = torch.load(path, map_location="cpu", weights_only=True)
    return read
