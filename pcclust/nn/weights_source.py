"""Where weights are: they come with pcclust, or lie here, or on the Hugging Face Hub."""

import os
import re
from pathlib import Path
from types import ModuleType

from pcclust._extras import require
from pcclust._names import nearest, nearest_path

# Those that come with pcclust, each as NAME.safetensors and its card NAME.json.
SHIPPED = Path(__file__).resolve().parents[1] / "weights"
# What commands take where no weights are named.
DEFAULT = "clusternet-contrastnet-modelnet40"
NAME, CARD = "weights.safetensors", "weights.json"
HUB = "hf://"
_REPOSITORY = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(@(?P<revision>[^\s@]+))?")


def shipped_names() -> list[str]:
    """Returns the names of the weights that come with pcclust, for `pcclust.load`."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def locate(what: str | os.PathLike[str]) -> Path:
    """Returns where weights are on this machine, after fetching them if need be.

    One rule, the same everywhere: a name of `shipped_names` means these weights, whatever lies in
    the current folder (``./NAME`` is a folder of that name); ``hf://`` means the Hugging Face Hub;
    anything else is a path. So a mistyped path never asks the network.

    Args:
        what: such a name, ``hf://OWNER/REPOSITORY`` with ``@REVISION`` (a branch, tag or commit)
            if it matters, or a path. Of a repository only ``weights.safetensors`` and
            ``weights.json`` are fetched, both of one commit, and kept in the cache of
            huggingface_hub, which also serves without a network.

    Returns:
        A folder, or a file.

    Raises:
        FileNotFoundError: no such name, path, repository or revision, or one without weights.
        ValueError: what follows ``hf://`` is no repository.
        OSError: the Hub cannot be reached, and the cache does not have them.
        ImportError: they are on the Hub, and huggingface_hub is not installed.

    Example:
        >>> from pcclust.nn.weights_source import locate
        >>> locate("hf://gpt")
        Traceback (most recent call last):
        ValueError: 'hf://gpt' names no repository: write hf://OWNER/REPOSITORY[@REVISION]
    """
    text = os.fspath(what)
    if text.startswith(HUB):
        return _fetched(text)
    if text in shipped_names():
        return SHIPPED / f"{text}.safetensors"
    if not Path(text).exists():
        raise FileNotFoundError(f"there are no weights {text}{hint(text)}; give {forms()}")
    return Path(text)


def is_path(what: str | os.PathLike[str]) -> bool:
    """Returns whether `locate` takes this for a path, be it there or not."""
    text = os.fspath(what)
    return not text.startswith(HUB) and text not in shipped_names()


def forms() -> str:
    """Says what `locate` takes, in words for error messages."""
    return (
        "the folder of a run, a .safetensors file with its card, "
        f"{HUB}OWNER/REPOSITORY[@REVISION], a name of weights that come with pcclust "
        f"({', '.join(shipped_names()) or 'there are none in this copy'})"
    )


def hint(text: str) -> str:
    """Returns a hint at what may have been meant by a path that is not there."""
    if _REPOSITORY.fullmatch(text) and not Path(text).suffix:
        return f"; if it is on the Hugging Face Hub, write {HUB}{text}"
    close = nearest(text, shipped_names())
    return close if "did you mean" in close else nearest_path(text)


def _fetched(address: str) -> Path:
    repository, revision = split_address(address)
    hub = import_hub("loading from")
    try:
        folder = Path(
            hub.snapshot_download(repository, revision=revision, allow_patterns=[NAME, CARD])
        )
    except hub.errors.RevisionNotFoundError as error:
        raise FileNotFoundError(
            f"{address}: the repository has no revision {revision or 'main'}"
        ) from error
    except hub.errors.RepositoryNotFoundError as error:
        raise FileNotFoundError(
            f"{address}: there is no such repository, or it is not open to you: check its name, "
            "or log in by: hf auth login"
        ) from error
    except Exception as error:  # the libraries below have their own for each way to fail
        raise OSError(
            f"{address} cannot be fetched ({first_line(error)}): check the network, or copy "
            f"{NAME} and {CARD} of it into a folder and give that"
        ) from error
    missing = [name for name in (NAME, CARD) if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"{address} holds no weights of pcclust: it lacks {' and '.join(missing)}"
        )
    return folder


def split_address(address: str) -> tuple[str, str | None]:
    """Splits ``hf://OWNER/REPOSITORY[@REVISION]``.

    Raises:
        ValueError: it is no such address.

    Example:
        >>> split_address("hf://me/shapes@v1")
        ('me/shapes', 'v1')
    """
    found = _REPOSITORY.fullmatch(address.removeprefix(HUB)) if address.startswith(HUB) else None
    if found is None:
        raise ValueError(f"{address!r} names no repository: write {HUB}OWNER/REPOSITORY[@REVISION]")
    return found["repository"], found["revision"]


def first_line(error: Exception) -> str:
    """Returns the kind of an error and the first line of what it says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def import_hub(what: str) -> ModuleType:
    """Imports the Hub's library, for "loading from" it or "pushing to" it."""
    hub = require("huggingface_hub", f"{what} the Hugging Face Hub")
    import huggingface_hub.errors  # noqa: F401 (which the package leaves out)

    return hub
