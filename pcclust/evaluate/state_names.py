"""Names of tensors as wrappers and trainers leave them, brought to those of the model."""

from collections.abc import Collection, Mapping
from typing import TypeVar

T = TypeVar("T")
# Under these keys training scripts store the weights beside other things, in order of preference.
NESTED = (
    "state_dict", "model_state_dict", "model_state", "model", "net", "network", "module",
    "params", "weights", "ema", "model_ema", "ema_state_dict", "ema_model",
)  # fmt: skip
COMPILED = "_orig_mod."  # what torch.compile puts before the names within it


def unnested(state: object) -> object:
    """Returns the weights of a checkpoint that holds other things, too."""
    for _ in NESTED:
        inner = [key for key in NESTED if isinstance(state, dict) and _is_dict(state.get(key))]
        if not inner or not isinstance(state, dict):
            break
        state = state[inner[0]]
    return state


def unwrapped(given: Mapping[str, T], wanted: Collection[str]) -> dict[str, T]:
    """Takes off what a wrapper or trainer has put before all names of a model.

    Args:
        given: tensors by name, e.g. ``module.layer.weight`` (DataParallel), ``_orig_mod.…``
            (torch.compile) or ``net.…`` (an attribute of a trainer), others beside them.
        wanted: the names that the model has.

    Returns:
        The tensors under one prefix, where these are all that the model has; otherwise as given.

    Raises:
        ValueError: the model is there twice, e.g. with the average of its weights.

    Example:
        >>> unwrapped({"net.module.bias": 1, "loss.weight": 2}, ["bias"])
        {'bias': 1}
    """
    plain = {name.replace(COMPILED, ""): value for name, value in given.items()}
    first = min(wanted, default="")
    prefixes = {name.removesuffix(first) for name in plain if name.endswith(first)}
    fitting = sorted(
        prefix
        for prefix in prefixes
        if (not prefix or prefix.endswith("."))
        and {n.removeprefix(prefix) for n in plain if n.startswith(prefix)} == set(wanted)
    )
    if len(fitting) > 1:
        raise ValueError(
            f"they hold the model {len(fitting)} times, under {', '.join(map(repr, fitting))}: "
            "save one state_dict() alone"
        )
    prefix = fitting[0] if fitting else ""
    return {n.removeprefix(prefix): v for n, v in plain.items() if n.startswith(prefix)}


def _is_dict(value: object) -> bool:
    return isinstance(value, dict) and bool(value)
