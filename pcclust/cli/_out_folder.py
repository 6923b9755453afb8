"""Folders that commands write their results into."""

import os
from pathlib import Path


def make_folder(folder: Path, option: str = "--out") -> None:
    """Makes a folder, and refuses one that cannot be written before much time is spent.

    Args:
        folder: the folder; those above it are made, too.
        option: how the user named it.

    Raises:
        NotADirectoryError: it is a file.
        PermissionError: it may not be written.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{option} {folder}: is a file; name a folder")
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{option} {folder}: you may not write there; name another folder")
