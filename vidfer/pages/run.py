"""The pages of a run: `index.html`, and reports whose people have got other names."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from blake3 import blake3

from vidfer.pages.index import INDEX, META, Found, Place, render_index
from vidfer.pages.people import noted_digest, people_digest
from vidfer.pages.report import render_report
from vidfer.pipeline.atomic import results_folder, write_atomic
from vidfer.pipeline.lock import locked
from vidfer.results.clip_folder import LOCK, REPORT, VIDEO, ClipFolder, FolderError, replace_report
from vidfer.results.code import code_digest
from vidfer.results.dictionary import PACKAGE
from vidfer.results.files import read_table
from vidfer.results.links import address
from vidfer.results.merge import apply_people
from vidfer.results.people import PEOPLE, People, read_people, read_rows
from vidfer.results.pictures import POSTER
from vidfer.results.run_folder import (
    NOT_WRITTEN,
    Contents,
    begins_with_bom,
    contents,
    rebuild,
    tables_digest,
)
from vidfer.results.schema import TABLES
from vidfer.results.tally import tally_seconds
from vidfer.types import Status

if TYPE_CHECKING:
    import pandas as pd

_WHAT: Final = {
    "clips": "Clips",
    "people": "People",
    "seconds": "Seconds",
    "segments": "Segments",
    "frames": "Frames",
    "windows": "Windows of sound",
}


def write_pages(run: Path, found: Contents, *, remedy: str = NOT_WRITTEN) -> Path:
    """Write the page of a run whose tables were just made, and again each report that shows people by other names.

    Reports that are as they have to be stay untouched; a clip without one gets none. Clips are read one at a time.

    Args:
        run: The run's folder.
        found: What `rebuild` or `contents` returned.
        remedy: What an error says that is of a folder that cannot be written.

    Returns:
        The path of `index.html`.

    Raises:
        VidferError: A page cannot be written, or its disk is full.
    """
    with results_folder(run, remedy), locked(run / LOCK):
        people, who = read_table(run / "people.parquet"), read_people(run / PEOPLE)
    for clip in _outdated(found, people):
        _renew(clip, who, run)
    with results_folder(run, remedy), locked(run / LOCK):  # the last: what it notes is true of all pages
        write_atomic(run / INDEX, render_index(_read(run, found, read_table(run / "people.parquet"))))
    return run / INDEX


def finish_run(run: Path, *, excel: bool, links: Mapping[str, str] | None = None) -> tuple[Contents, Path]:
    """Make a run's tables and pages, see `rebuild` and `write_pages`, unless all are as the clips' folders want them.

    Returns:
        What lies in the folder, and the path of `index.html`.

    Raises:
        VidferError: They cannot be written, or what a user wrote into `people.csv` or `clips.csv` cannot be read.
    """
    if found := as_written(run, excel=excel, links=links):
        return found, run / INDEX
    found = rebuild(run, excel=excel, links=links)
    return found, write_pages(run, found)


def as_written(run: Path, *, excel: bool, links: Mapping[str, str] | None = None) -> Contents | None:
    """Return what lies in a run's folder if its tables are those that were made of that, byte for byte, and the pages of these.

    A run that has to be told of anything is made again, so that this is told again.
    """
    noted = noted_digest(run / INDEX, META)
    if noted is None or excel != begins_with_bom(run / "clips.csv"):
        return None
    found = contents(run)
    if found.warnings() or noted != _note(run, found, tables_digest(run)):
        return None
    if links is not None and links != {
        one: row.linked_to for one, row in read_rows(run / PEOPLE).items() if row.linked_to
    }:
        return None
    return found


def _note(run: Path, found: Contents, tables: str) -> str:
    return blake3(json.dumps([run.resolve().name, found.digest, tables, code_digest()]).encode()).hexdigest()


def _outdated(found: Contents, people: "pd.DataFrame") -> Iterable[ClipFolder]:
    """Yield the clips whose report was made with other names than the run's table `people` has now."""
    empty, rows = people.iloc[:0], dict(iter(people.groupby("clip_id")))
    for clip_id, clip in found.clips.items():
        noted = noted_digest(clip.path / REPORT)
        if noted is not None and noted != people_digest(rows.get(clip_id, empty)):
            yield clip


def _renew(clip: ClipFolder, who: People, run: Path) -> None:
    """Make a clip's report again; where its files are damaged, which `rebuild` has told, it stays."""
    try:
        tables = {name: clip.table(name) for name in TABLES}
        pictures = clip.pictures()
    except FolderError:
        return
    tables, _ = apply_people(tables, who, clip.summary)
    places = {
        "video": clip.summary.get(VIDEO),
        "overlay": clip.overlay and address(clip.path / clip.overlay, clip.path),
        "index": address(run / INDEX, clip.path),
    }
    replace_report(clip, render_report(tables, clip.summary, pictures, **places))


def _read(run: Path, found: Contents, people: "pd.DataFrame") -> Found:
    own = {name for clip in found.clips.values() for name in clip.summary.get("further_columns", {}).get("clips", ())}
    clips = read_table(run / "clips.parquet")
    return Found(
        run.resolve().name,
        clips,
        people,
        tally_seconds(run / "seconds.parquet"),
        _places(run, found, people),
        [str(name) for name in clips if name in own],
        _models(found),
        _tables(run),
        found.warnings(),
        _note(run, found, found.tables) if found.tables and not found.warnings() else "",
    )


def _places(run: Path, found: Contents, people: "pd.DataFrame") -> dict[str, Place]:
    """Find out what lies in the clips' folders; a clip's picture is that of the person seen most, else its poster."""
    seen = people[people["thumbnail"].notna()].sort_values("n_faces", kind="stable", na_position="first")
    most = seen.groupby("clip_id")["thumbnail"].last()
    places = {}
    for clip_id, clip in found.clips.items():
        written = clip.summary["files"]
        pictures = (str(most.get(clip_id, "")).rpartition("/")[2], POSTER)
        report, picture = (
            next((address(clip.path / name, run) for name in names if name in written), None)
            for names in ((REPORT,), pictures)
        )
        fine = clip.summary.get("status") == Status.OK
        places[clip_id] = Place(report, picture, "" if fine else clip.summary.get("message") or "")
    return places


def _models(found: Contents) -> list[str]:
    """Say which models answered, a line for each bundle and preset that there is."""
    lines: dict[str, None] = {}
    for clip in found.clips.values():
        lines |= dict.fromkeys(_model_line(clip.summary))
    return list(lines)


def _model_line(summary: Mapping[str, Any]) -> list[str]:
    if not summary.get("models"):
        return []
    preset = "" if summary["preset"] == "default" else f", preset {summary['preset']}"
    models = [f"{kind} {Path(one['weights']).name} ({one['network']})" for kind, one in summary["models"].items()]
    return [f"bundle {summary['bundle']}{preset}: {', '.join(models)}"]


def _tables(run: Path) -> list[tuple[str, list[str]]]:
    names = {what: [f"{name}.csv", f"{name}.parquet"] for name, what in _WHAT.items()}
    names["Columns described"] = [PACKAGE]
    return [
        (what, there) for what, files in names.items() if (there := [one for one in files if (run / one).is_file()])
    ]
