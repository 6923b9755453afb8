"""Which run of a tracker of experiments a stage of ours is, so that it can go on."""

from pathlib import Path

from pcclust._files import write_whole


class TrackedRun:
    """A stage and the name of its run at a tracker, kept in the run's folder.

    Args:
        folder: of the run.
        tracker: its name.
        stage: empty where there is only one.

    Attributes:
        name: what the tracker is to call the run.
    """

    def __init__(self, folder: Path, tracker: str, stage: str) -> None:
        self.name = f"{folder.name}-{stage}" if stage else folder.name
        self._file = folder / f"{tracker}-{stage or 'run'}.id"

    def goes_on(self, done: int) -> str | None:
        """Returns the tracker's name of the run that goes on after so many steps, if one does."""
        if done and self._file.exists():
            return self._file.read_text("utf-8").strip()
        return None

    def keep(self, identity: str) -> str:
        """Remembers the tracker's name of a run that begins, and returns it."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._file, f"{identity}\n".encode())
        return identity
