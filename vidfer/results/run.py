"""A run's results as an object: the six tables of all clips, and each clip's folder."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from vidfer.results.clip_folder import SUMMARY, ClipFolder, clip_folders
from vidfer.results.files import read_table
from vidfer.results.run_folder import NOT_WRITTEN, Contents, contents, is_current, rebuild
from vidfer.results.schema import TABLES
from vidfer.types import UsageError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Run:
    """The results of a run; each table is read when it is asked for, and kept.

    Args:
        folder: The run's folder.
        found: The clips' folders by clip_id, and why others are left out.
        made_again: Whether the tables lacked clips when the run was loaded, and were made again.

    Example:
        >>> import vidfer
        >>> vidfer.analyze("missing.mp4").save("run/missing.mp4")
        >>> vidfer.ClipResult.load(vidfer.load_run("run").folders["missing.mp4"])
        <ClipResult missing.mp4: unreadable>
    """

    folder: Path
    found: Contents
    made_again: bool = False

    @property
    def folders(self) -> Mapping[str, Path]:
        """The clips' folders by clip_id."""
        return {clip_id: clip.path for clip_id, clip in self.found.clips.items()}

    @cached_property
    def frames(self) -> "pd.DataFrame":
        """A row per sampled time and person."""
        return self._table("frames")

    @cached_property
    def seconds(self) -> "pd.DataFrame":
        """A row per interval of a regular grid and person, sound beside."""
        return self._table("seconds")

    @cached_property
    def segments(self) -> "pd.DataFrame":
        """A row per time in which a person shows one expression."""
        return self._table("segments")

    @cached_property
    def people(self) -> "pd.DataFrame":
        """A row per person of each clip."""
        return self._table("people")

    @cached_property
    def windows(self) -> "pd.DataFrame":
        """A row per window of sound."""
        return self._table("windows")

    @cached_property
    def clips(self) -> "pd.DataFrame":
        """A row per clip."""
        return self._table("clips")

    def clip(self, clip_id: str) -> ClipFolder:
        """Return one clip's results.

        Raises:
            UsageError: The run has no such clip.
        """
        if clip_id not in self.found.clips:
            known = list(self.found.clips)
            below = [each for each in known if each.endswith(f"/{clip_id}")]  # the file's name, as terminals show it
            hint = f": did you mean {below[0]}?" if below else did_you_mean(clip_id, known)
            raise UsageError(
                f"{self.folder} has no clip {clip_id}{hint or ': see the column clip_id of its clips.csv'}"
            )
        return self.found.clips[clip_id]

    def tables(self, clip_id: str) -> "dict[str, pd.DataFrame]":
        """Return the rows of one clip from the run's six tables, with everybody's names; only its part of the files is read.

        Raises:
            UsageError: The run has no such clip.
        """
        self.clip(clip_id)
        only = [("clip_id", "==", clip_id)]
        return {name: read_table(self.folder / f"{name}.parquet", only) for name in TABLES}

    def _table(self, name: str) -> "pd.DataFrame":
        return read_table(self.folder / f"{name}.parquet")

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, {len(self.found.clips)} clips)"


def load_run(folder: str | Path) -> Run:
    """Load the results of an earlier run; tables that lack finished clips are made again, and no page: see `vidfer.load_run`.

    Raises:
        UsageError: There is no such folder, or it holds no results.
        VidferError: The tables have to be made again, and cannot be written.
    """
    run = Path(folder)
    if not run.is_dir():
        raise UsageError(f"there is no folder {run}: give the one that `vidfer analyze --out` named")
    if next(clip_folders(run), None) is None:
        if (run / SUMMARY).is_file():
            raise UsageError(
                f"{run} holds one clip's results: give the folder of its run, which `vidfer analyze --out` named"
            )
        raise UsageError(f"{run} holds no results: give the folder that `vidfer analyze --out` named")
    found = contents(run)
    lacking = not is_current(run, found)
    if lacking:
        found = rebuild(run, remedy=NOT_WRITTEN)
    for warning in found.warnings():
        logging.getLogger(__name__).warning("%s", warning)
    return Run(run, found, lacking)
