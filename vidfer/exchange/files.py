"""The files of a run's clips for other programs."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from vidfer import __version__
from vidfer.exchange.elan import elan_file
from vidfer.exchange.pyfeat import pyfeat_file
from vidfer.exchange.webvtt import webvtt_file
from vidfer.pipeline.atomic import results_folder, write_atomic
from vidfer.pipeline.paths import is_file, real
from vidfer.results.clip_folder import VIDEO, ClipFolder
from vidfer.results.links import address
from vidfer.results.names import cut
from vidfer.types import DISPLAYED, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from vidfer.results.run import Run

Format = Literal["elan", "webvtt", "py-feat"]

SUFFIXES: Final[dict[Format, str]] = {"elan": ".eaf", "webvtt": ".vtt", "py-feat": ".csv"}

NOTE: Final = "vidfer.txt"
"""Says beside tables of py-feat, which have no room for it, what they show."""


def export_run(
    run: "Run", program: Format, out: Path | None = None, clip: str | None = None, *, absolute: bool = False
) -> Iterator[Path]:
    """Write a file for each clip of a run, with everybody's names, and yield its path; tables of py-feat get a note beside them.

    Args:
        run: Its folder of clips.
        program: What is to read the files.
        out: Folder of the files, each at its clip's place there; by default `export` in the run's folder.
        clip: This clip alone.
        absolute: See `elan_file`.

    Raises:
        UsageError: The run has no such clip, or `absolute` is asked for a format that names no file.
        VidferError: The folder cannot be written.
    """
    place = out or run.folder / "export"
    if program == "py-feat":
        with results_folder(place):
            write_atomic(place / NOTE, f"{DISPLAYED} Tables of py-feat by vidfer {__version__}.\n")
    paths = export_paths(place, run.folders, SUFFIXES.get(program, ""))
    for clip_id in run.folders if clip is None else [run.clip(clip).clip_id]:
        folder, path = run.clip(clip_id), paths[clip_id]
        write_export(run.tables(clip_id), folder.summary, program, path, source_of(folder), absolute=absolute)
        yield path


def export_paths(place: Path, clip_ids: Iterable[str], suffix: str) -> dict[str, Path]:
    """Give each clip a path of its own: names that are as long as file systems allow are shortened for the suffix."""
    paths: dict[str, Path] = {}
    taken = set[Path]()
    for clip_id in clip_ids:
        wanted, number, end = place / clip_id, 1, suffix
        while (path := wanted.with_name(cut(wanted.name, end))) in taken:
            number += 1
            end = f"-{number}{suffix}"
        paths[clip_id] = path
        taken.add(path)
    return paths


def write_export(
    tables: "Mapping[str, pd.DataFrame]",
    summary: Mapping[str, Any],
    program: Format,
    path: Path,
    source: Path | None,
    *,
    absolute: bool = False,
) -> None:
    """Write one clip's file.

    Args:
        tables: The clip's six tables.
        summary: Its summary.
        program: What is to read the file.
        path: Where; its folder is made if need be.
        source: The clip's own file; None where it is not known.
        absolute: See `elan_file`.

    Raises:
        UsageError: There is no such format, or `absolute` is asked for one that names no file.
        VidferError: The file cannot be written.
    """
    if program not in get_args(Format):
        raise UsageError(f"--format '{program}' is none of {', '.join(get_args(Format))}")
    if absolute and program != "elan":
        raise UsageError(f"--absolute is of elan: a file of {program} does not name the clip's place")
    if program == "elan":
        there = source is not None and is_file(source)
        media = address(source, path.parent) if source and there else ""
        whole = real(source).as_uri() if source and there and absolute else ""
        data = elan_file(tables, summary, media=media, absolute=whole)
    else:
        data = webvtt_file(tables) if program == "webvtt" else pyfeat_file(tables)
    with results_folder(path.parent):
        write_atomic(path, data)


def source_of(folder: ClipFolder) -> Path | None:
    """Return the clip's own file, by its address from the clip's folder; None where none was written."""
    found: str | None = folder.summary.get(VIDEO)
    if not found:
        return None
    if found.startswith("file:"):
        return Path(url2pathname(urlsplit(found).path))
    return folder.path / os.fsdecode(os.fsencode(unquote(found, errors="surrogateescape")))
