"""Putting weights on the Hugging Face Hub, where `pcclust.load` finds them."""

import os
from typing import NamedTuple

from pcclust._version import __version__
from pcclust.nn._card import Card
from pcclust.nn.weights import checked_weights
from pcclust.nn.weights_source import CARD, NAME, first_line, import_hub, split_address

README = "README.md"


class Pushed(NamedTuple):
    """What is on the Hub now.

    Attributes:
        url: of the commit.
        commit: its hash, a revision that never changes.
        files: that it holds.
    """

    url: str
    commit: str
    files: tuple[str, ...]


def push_weights(
    what: str | os.PathLike[str], address: str, *, private: bool = False, message: str = ""
) -> Pushed:
    """Puts weights and their card into a repository of the Hugging Face Hub, in one commit.

    They are checked as `pcclust.load` checks them before anything is sent. The repository and the
    branch are made where they are not there; a README is added to one that has none. The card goes
    along as it is, with the settings of the run, such as paths. Log in by ``hf auth login``.

    Args:
        what: as for `pcclust.load`: the folder of a run, a file, or a name.
        address: ``hf://OWNER/NAME``, with ``@BRANCH`` if it is not to be main.
        private: whether a repository that is made is open to its owner alone.
        message: of the commit.

    Raises:
        FileNotFoundError: no such weights.
        ValueError: weights that are damaged, or what is no address.
        PermissionError: nobody is logged in, or they may not write there.
        OSError: the Hub cannot be reached, or refuses.
        ImportError: huggingface_hub is not installed.
    """
    repository, branch = split_address(address)
    path, card, _ = checked_weights(what)
    hub = import_hub("pushing to")
    api = hub.HfApi()
    add = hub.CommitOperationAdd
    try:
        api.create_repo(repository, private=private or None, exist_ok=True)
        if branch is not None:
            api.create_branch(repository, branch=branch, exist_ok=True)
        files = [add(NAME, str(path)), add(CARD, str(path.with_suffix(".json")))]
        if not api.file_exists(repository, README, revision=branch):
            files.append(add(README, _readme(card, address).encode()))
        made = api.create_commit(
            repository,
            files,
            commit_message=message or f"Weights of pcclust {__version__}",
            revision=branch,
        )
    except Exception as error:  # the libraries below have their own for each way to fail
        raise _refused(error, address) from error
    return Pushed(made.commit_url, made.oid, tuple(file.path_in_repo for file in files))


def _refused(error: Exception, address: str) -> OSError:
    """Says what to do about a push that failed."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403) or "LocalTokenNotFound" in type(error).__name__:
        return PermissionError(
            f"{address}: you may not write there ({first_line(error)}): log in by: hf auth login, "
            "with a token that may write"
        )
    return OSError(
        f"{address} cannot be written ({first_line(error)}): check the name and the network; what "
        "was there before is as it was"
    )


def _readme(card: Card, address: str) -> str:
    """Returns a page that says what this is and how it is used."""
    told = {"model": card["model"], "points": card.get("num_points"), "method": card.get("method")}
    lines = [f"- {name}: {value}" for name, value in told.items() if value]
    loaded = f'import pcclust\n\nmodel = pcclust.load("{address}")'
    return "\n".join(
        [
            "---",
            "library_name: pcclust",
            "tags: [point-cloud, 3d, rotation-invariance, clustering]",
            "---",
            f"# {address.rpartition('/')[2].partition('@')[0]}",
            "",
            "Weights of pcclust, which clusters 3-D shapes from bare point clouds in any",
            f"orientation. `{CARD}` says how they were made.",
            "",
            *lines,
            "",
            "```python",
            loaded,
            "```",
            "",
        ]
    )
