"""scikit-learn's estimator conventions without scikit-learn, which is no dependency."""

import inspect
import sys
from typing import Any

from torch import Tensor
from typing_extensions import Self  # torch needs it, so it is there


class NotFittedError(ValueError, AttributeError):
    """An estimator is asked for results before `fit`."""


class Estimator:
    """Parameters by name, a readable form, and the tags by which scikit-learn knows an estimator.

    A subclass's constructor stores its arguments under their names and does nothing else.
    """

    @classmethod
    def _parameter_names(cls) -> list[str]:
        return sorted(name for name in inspect.signature(cls.__init__).parameters if name != "self")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Returns the constructor's parameters and their values.

        Args:
            deep: there for scikit-learn; no parameter is an estimator itself.
        """
        return {name: getattr(self, name) for name in self._parameter_names()}

    def set_params(self, **params: Any) -> Self:  # noqa: ANN401
        """Sets parameters of the constructor by name and returns the estimator.

        Raises:
            ValueError: there is no such parameter.
        """
        known = self._parameter_names()
        for name, value in params.items():
            if name not in known:
                raise ValueError(
                    f"{type(self).__name__} has no parameter {name!r}; it has {', '.join(known)}"
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        parameters = inspect.signature(type(self).__init__).parameters
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if isinstance(value, Tensor) or repr(value) != repr(parameters[name].default)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401
        # Only scikit-learn asks, so it is there.
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type="clusterer",
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(),
            input_tags=InputTags(),
        )

    def _check_fitted(self, attribute: str) -> None:
        if hasattr(self, attribute):
            return
        error: type[Exception] = NotFittedError
        if "sklearn.exceptions" in sys.modules:
            error = sys.modules["sklearn.exceptions"].NotFittedError
        raise error(f"this {type(self).__name__} is not fitted yet: call fit first")
