"""A run's people as a user has named and joined them."""

from dataclasses import dataclass, field
from pathlib import Path

from vidfer.results.files import is_written_as, read_table
from vidfer.results.people import PEOPLE, read_people
from vidfer.results.people_check import check_cells
from vidfer.results.run_folder import NOT_WRITTEN, Contents, rebuild
from vidfer.types import UsageError, VidferError


@dataclass(frozen=True)
class Applied:
    """What became of a run's people.

    Args:
        people: Persons, those of several tracks counted once.
        tracks: Persons as tracked, clip by clip.
        named: Persons with a name.
        notes: What is to be known, in sentences.
        found: What lies below the run's folder.
    """

    people: int
    tracks: int
    named: int
    notes: tuple[str, ...]
    found: Contents = field(repr=False)


def people_of(run: Path) -> Path:
    """Return the path of a run's `people.csv`.

    Raises:
        UsageError: It is not there, or has no `people.parquet` beside it.
        VidferError: That is damaged.
    """
    if not (run / PEOPLE).is_file() or not (run / "people.parquet").is_file():
        raise UsageError(f"{run} has no {PEOPLE}: give the folder that `vidfer analyze --out` named")
    if not is_written_as(run / "people.parquet", "people"):
        raise VidferError(
            f"{run}/people.parquet is damaged: analyse the clips into that folder again, or take another copy"
        )
    return run / PEOPLE


def apply_edits(run: Path) -> Applied:
    """Bring names and `same_as` of `people.csv` into all tables of a run; nothing is analysed.

    Raises:
        UsageError: The folder is none of a run.
        VidferError: `people.csv` cannot be read, or says what cannot be; no table is changed then.
    """
    path = people_of(run)
    read_people(path)
    gone = check_cells(path, read_table(run / "people.parquet"))
    found = rebuild(run, remedy=NOT_WRITTEN)
    rows = read_table(run / "people.parquet")
    ids = rows.drop_duplicates("person_id")
    named = int(ids["person_name"].notna().sum())
    return Applied(len(ids), len(rows), named, (*gone, *found.warnings()), found)
