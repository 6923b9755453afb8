"""Help that a person can scan: options by what they are for, without ``None`` where nothing is.

tyro asks a registry how types become options. This one answers for two kinds: ``X | None`` is shown
as X (the word None is still taken, to undo what a preset or a config file says), and dataclasses of
settings have their options in groups.
"""

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable
from functools import partial, update_wrapper
from types import UnionType
from typing import Annotated, Any, Union

from tyro import MISSING_NONPROP
from tyro.conf import OmitArgPrefixes, arg
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
    UnsupportedTypeAnnotationError,
)

# The settings of a training, by what they are for; those a method adds are its own group.
GROUPS = {
    "data": ("dataset", "split", "limit", "num_points", "up_axis", "val_fraction"),
    "encoder": ("model", "model_kwargs"),
    "views": (
        "rotation", "jitter", "max_scale", "stretch", "tilt", "max_shift", "crop", "view_points",
    ),
    "training": (
        "epochs", "batch_size", "optimizer", "learning_rate", "weight_decay", "warmup_epochs",
        "schedule", "clip_norm", "label_smoothing",
    ),
    "run": ("seed", "precision", "workers", "log_every", "checkpoint_minutes"),
}  # fmt: skip
GROUP_OF = {name: group for group, names in GROUPS.items() for name in names}
OWN = "method"


def _hint(default: str) -> str:
    return "" if default in ("", "None") else f"(default: {default})"


_QUIET = arg(help_behavior_hint=_hint)


def without_none(command: Callable[..., int]) -> Callable[..., int]:
    """Returns a command whose help says nothing of defaults that are nothing."""
    if isinstance(command, partial):
        return partial(without_none(command.func), *command.args, **command.keywords)
    hints = typing.get_type_hints(command, include_extras=True)

    def run(*args: Any, **kwargs: Any) -> int:  # noqa: ANN401
        return command(*args, **kwargs)

    update_wrapper(run, command)
    del run.__dict__["__wrapped__"]
    # Lines that go on are joined: the terminal has its own width.
    run.__doc__ = re.sub(r"\n {8,}(?=\S)", " ", inspect.getdoc(command) or "")
    signature = inspect.signature(command)
    quiet = {
        name: Annotated[hint, _QUIET]
        for name, hint in hints.items()
        if name != "return" and signature.parameters[name].default is None
    }
    run.__annotations__ = hints | quiet
    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[
            parameter.replace(annotation=run.__annotations__[name])
            for name, parameter in signature.parameters.items()
        ]
    )
    return run


def registry() -> ConstructorRegistry:
    """Returns how types become options, for one use of the parser."""
    rules = ConstructorRegistry()
    rules.primitive_rule(_optional)
    rules.struct_rule(_Settings())
    return rules


def _optional(
    info: PrimitiveTypeInfo,
) -> PrimitiveConstructorSpec[Any] | UnsupportedTypeAnnotationError | None:
    """Shows ``X | None`` as X."""
    kinds = typing.get_args(info.type)
    if info.type_origin not in (Union, UnionType) or type(None) not in kinds:
        return None
    rest: Any = Union[tuple(kind for kind in kinds if kind is not type(None))]  # noqa: UP007
    spec = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(rest, info.markers))
    if isinstance(spec, UnsupportedTypeAnnotationError) or spec.nargs != 1:
        return None
    read, write = spec.instance_from_str, spec.str_from_instance
    return dataclasses.replace(
        spec,
        instance_from_str=lambda words: None if words == ["None"] else read(words),
        is_instance=lambda value: value is None or spec.is_instance(value),
        str_from_instance=lambda value: ["None"] if value is None else write(value),
        choices=None if spec.choices is None else (*spec.choices, "None"),
    )


class _Settings:
    """The rule of dataclasses."""

    def __init__(self) -> None:
        self.inside = False
        self.root: type[Any] | None = None  # settings of later stages have a prefix, and no groups

    def __call__(self, info: StructTypeInfo) -> StructConstructorSpec | None:
        """Returns the options of a dataclass."""
        if self.inside or not dataclasses.is_dataclass(info.type):
            return None
        self.inside = True
        try:
            spec = ConstructorRegistry.get_struct_spec(info)
        finally:
            self.inside = False
        if not isinstance(spec, StructConstructorSpec):
            return None
        spec = dataclasses.replace(spec, fields=tuple(map(_quiet, spec.fields)))
        from pcclust.training import TrainingConfig  # heavy, and few commands train

        if not issubclass(info.type, TrainingConfig):
            return spec
        self.root = self.root or info.type
        if info.type is not self.root:
            return spec
        return _grouped(spec)


def _bare(kind: object) -> object:
    return typing.get_args(kind)[0] if typing.get_origin(kind) is Annotated else kind


def _is_struct(kind: object) -> bool:
    bare = _bare(kind)
    return isinstance(bare, type) and dataclasses.is_dataclass(bare)


def _quiet(field: StructFieldSpec) -> StructFieldSpec:
    if _is_struct(field.type) or field.default not in (None, {}):
        return field
    return dataclasses.replace(field, type=typing.cast(Any, Annotated[field.type, _QUIET]))


def _grouped(spec: StructConstructorSpec) -> StructConstructorSpec:
    """Returns the same options, each group of them a dataclass of its own."""
    members: dict[str, list[StructFieldSpec]] = {name: [] for name in (OWN, *GROUPS)}
    alone = [field for field in spec.fields if _is_struct(field.type)]
    for field in spec.fields:
        if field not in alone:
            members[GROUP_OF.get(field.name, OWN)].append(field)
    groups = [_group(name, fields) for name, fields in members.items() if fields]

    def instantiate(**given: Any) -> Any:  # noqa: ANN401
        for group in groups:
            given |= vars(given.pop(group.name))
        return spec.instantiate(**given)

    return StructConstructorSpec(instantiate=instantiate, fields=(*groups, *alone))


def _group(name: str, fields: list[StructFieldSpec]) -> StructFieldSpec:
    parts: list[Any] = []
    for each in fields:
        inner: Any = each.type
        default = dataclasses.field(default_factory=partial(_same, each.default), kw_only=True)
        parts.append((each.name, Annotated[inner, arg(help=_said(each))], default))
    made: Any = dataclasses.make_dataclass(name, parts)
    made.__doc__ = ""
    kind: Any = Annotated[made, OmitArgPrefixes]
    return StructFieldSpec(name=name, type=kind, default=MISSING_NONPROP)


def _said(field: StructFieldSpec) -> str | None:
    return field.helptext() if callable(field.helptext) else field.helptext


def _same(value: object) -> object:
    return value
