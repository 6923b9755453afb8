"""Optional libraries, imported where they are used, and what is said where they are missing."""

from importlib import import_module
from types import ModuleType

# Which extra of pcclust brings a library, by the name it is imported by.
EXTRAS = {
    "accelerate": "train",
    "fsspec": "shards",
    "huggingface_hub": "hub",
    "laspy": "las",
    "matplotlib": "report",
    "mlflow": "mlflow",
    "onnxscript": "onnx",
    "open3d": "open3d",
    "pyarrow": "shards",
    "ray": "ray",
    "tensorboard": "tensorboard",
    "torch_geometric": "pyg",
    "wandb": "wandb",
    "yaml": "train",
}


def require(library: str, needed_by: str) -> ModuleType:
    """Imports an optional library.

    Args:
        library: what is imported, e.g. ``"laspy"``; a key of `EXTRAS`, or a part of one.
        needed_by: who needs it, e.g. ``"LAZ files"``; the message begins with it.

    Raises:
        ImportError: it is not installed, or does not load; the message says what to do.

    Example:
        >>> require("numpy", "nothing").__name__
        'numpy'
    """
    try:
        return import_module(library)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{needed_by} {_verb(needed_by)} {library} (no module {error.name!r}): "
            f"{install_line(library)}"
        ) from error
    except (ImportError, OSError) as error:
        raise ImportError(
            f"{needed_by}: {library} is installed but does not load ({error}); install it anew"
        ) from error


def install_line(library: str) -> str:
    """Returns the command that brings a library.

    Example:
        >>> install_line("laspy")
        "pip install 'pcclust[las]'"
    """
    extra = EXTRAS[library.partition(".")[0]]
    return f"pip install 'pcclust[{extra}]'"


def _verb(needed_by: str) -> str:
    return "need" if needed_by.endswith("s") else "needs"
