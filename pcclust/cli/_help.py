"""Command lines from dataclasses and functions, with help that a person can scan.

tyro asks a registry how types become options. This one answers for two kinds: ``X | None`` is shown
as X (the word None is still taken, to undo what a preset or a config file says), and dataclasses
have their options in groups, by what they are for.
"""

import dataclasses
import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial, update_wrapper
from types import UnionType
from typing import Annotated, Any, Union

import tyro
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

from pcclust.cli._options import (
    GROUP_OF,
    GROUPS,
    LEAST,
    OWN,
    SAID,
    TRAINING_GROUP_OF,
    given_options,
    in_options,
)
from pcclust.cli.console import UsageError, escaped_streams


def parsed(
    command: Callable[..., int] | type[Any],
    arguments: Sequence[str],
    *,
    prog: str,
    example: str,
    default: Any = None,  # noqa: ANN401
) -> Callable[[], int]:
    """Returns a command with the options that arguments give it, ready to run.

    Args:
        command: a dataclass with a method ``run`` that returns the exit code, or a function that
            does; its docstring is its help, beginning with a line that says its purpose.
        arguments: of the command line.
        prog: how the command line begins.
        example: a whole command line.
        default: an instance of the dataclass, where its own defaults do not hold.

    Raises:
        SystemExit: with 0 after help, with 2 after what cannot be parsed.
    """
    with escaped_streams(arguments, trusted=default is None), _misuse():
        made = tyro.cli(
            command if isinstance(command, type) else _deferred(command),
            prog=prog,
            description=_description(command, example),
            args=arguments,
            default=MISSING_NONPROP if default is None else default,
            config=(tyro.conf.FlagCreatePairsOff,),
            registry=registry(),
        )
    run: Callable[[], int] = made if isinstance(made, partial) else made.run
    return run


class _RefusedError(Exception):
    """What a dataclass refuses; the parser, which catches ValueError, would put it into a box."""


@contextmanager
def _misuse() -> Iterator[None]:
    """Says of values that cannot be that they were given wrongly."""
    try:
        yield
    except (_RefusedError, ValueError) as error:
        raise UsageError(str(error)) from error


def purpose(command: object) -> str:
    """Returns the first line of the docstring."""
    return (inspect.getdoc(command) or "").partition("\n")[0]


def _deferred(command: Callable[..., int]) -> Callable[..., Any]:
    """Returns a function that returns the command with its arguments, and does not run it."""

    def later(*args: Any, **kwargs: Any) -> Callable[[], int]:  # noqa: ANN401
        return partial(command, *args, **kwargs)

    update_wrapper(later, command)
    return later


def _description(command: object, example: str) -> str:
    """Returns what a command is for, the example, and the rest, each paragraph a line."""
    doc = re.split(r"\n(?:Args|Attributes|Raises):\n", inspect.getdoc(command) or "")[0]
    first, *rest = doc.strip().split("\n\n")
    told = [first, f"Example: {example}", *rest]
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in told)


def registry() -> ConstructorRegistry:
    """Returns how types become options, for one use of the parser."""
    rules = ConstructorRegistry()
    rules.primitive_rule(_optional)
    rules.struct_rule(_Grouping())
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


class _Grouping:
    """The rule of dataclasses."""

    def __init__(self) -> None:
        self.inside = False
        self.groups: set[type[Any]] = set()
        self.root: type[Any] | None = None  # settings of later stages have a prefix, and no groups

    def __call__(self, info: StructTypeInfo) -> StructConstructorSpec | None:
        """Returns the options of a dataclass."""
        if self.inside or not dataclasses.is_dataclass(info.type) or info.type in self.groups:
            return None
        self.inside = True
        try:
            spec = ConstructorRegistry.get_struct_spec(info)
        finally:
            self.inside = False
        if not isinstance(spec, StructConstructorSpec):
            return None
        spec = dataclasses.replace(spec, fields=tuple(map(_told, spec.fields)))
        if not _trains(info.type):
            return self._grouped(spec, GROUP_OF)
        self.root = self.root or info.type
        return self._grouped(spec, TRAINING_GROUP_OF) if info.type is self.root else spec

    def _grouped(
        self, spec: StructConstructorSpec, group_of: dict[str, str]
    ) -> StructConstructorSpec:
        """Returns the same options, each group of them a dataclass of its own."""
        members: dict[str, list[StructFieldSpec]] = {name: [] for name in (OWN, *GROUPS)}
        alone = [field for field in spec.fields if _is_struct(field.type)]
        for field in spec.fields:
            if field not in alone:
                members[group_of.get(field.name, OWN)].append(field)
        groups = [self._group(name, fields) for name, fields in members.items() if fields]

        def instantiate(**given: Any) -> Any:  # noqa: ANN401
            for group in groups:
                given |= vars(given.pop(group.name))
            try:
                _check_least(given)
                return spec.instantiate(**given)
            except ValueError as error:
                told = in_options(str(error), given_options(given))
                raise _RefusedError(told) from error

        # Settings of a training come before what is said of its run, later stages of it last.
        first, last = (groups, alone) if group_of is TRAINING_GROUP_OF else (alone, groups)
        return StructConstructorSpec(instantiate=instantiate, fields=(*first, *last))

    def _group(self, name: str, fields: list[StructFieldSpec]) -> StructFieldSpec:
        parts: list[Any] = []
        for each in fields:
            default = dataclasses.field(default_factory=partial(_same, each.default), kw_only=True)
            parts.append((each.name, each.type, default))
        made: Any = dataclasses.make_dataclass(name, parts)
        made.__doc__ = ""
        self.groups.add(made)
        kind: Any = Annotated[made, OmitArgPrefixes, arg(name=name)]
        return StructFieldSpec(name=f"{name} group", type=kind, default=MISSING_NONPROP)


def _trains(kind: type[Any]) -> bool:
    """Returns whether these are settings of a training, which is not imported to find out."""
    training = sys.modules.get("pcclust.training")
    return training is not None and issubclass(kind, training.TrainingConfig)


def _check_least(given: Mapping[str, object]) -> None:
    """Raises UsageError where an option is less than any command can do with."""
    for name, least in LEAST.items():
        value = given.get(name)
        if isinstance(value, int | float) and value < least:
            option = name.replace("_", "-")
            raise UsageError(f"--{option} {value} must be at least {least}")


def _is_struct(kind: object) -> bool:
    bare = typing.get_args(kind)[0] if typing.get_origin(kind) is Annotated else kind
    return isinstance(bare, type) and dataclasses.is_dataclass(bare)


def _told(field: StructFieldSpec) -> StructFieldSpec:
    """Returns an option with its help, which says nothing of a default that is nothing."""
    if _is_struct(field.type):
        return field
    own = field.helptext() if callable(field.helptext) else field.helptext
    told = arg(
        help=SAID.get(field.name) or " ".join((own or "").split()),
        help_behavior_hint=_hint(field.default),
    )
    kind: Any = Annotated[field.type, told]
    return dataclasses.replace(field, type=kind)


def _hint(default: object) -> Callable[[str], str] | None:
    """Returns what is said of a default; None leaves it to tyro."""
    if default in (MISSING_NONPROP, tyro.MISSING):  # of an option that may be given many times
        return lambda shown: "(required)"
    nothing = default is None or isinstance(default, bool) or default in ((), {})
    return (lambda shown: "") if nothing else None


def _same(value: object) -> object:
    return value
