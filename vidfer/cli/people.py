"""`vidfer people`: who is who in a run."""

from dataclasses import dataclass, field
from pathlib import Path

from vidfer.cli.options import POSITIONAL
from vidfer.cli.put import cell, put

ACTIONS = {"list": "vidfer.cli.people.list_people", "apply": "vidfer.cli.people.apply_people"}

_RUN = POSITIONAL | {"metavar": "RUN"}


@dataclass(frozen=True)
class ListOptions:
    """Print who was seen in which clip, when, and the file of a picture.

    Args:
        run: The run's folder.
    """

    run: Path = field(metadata=_RUN)


@dataclass(frozen=True)
class ApplyOptions:
    """Bring names and same_as of people.csv into all tables of the run; nothing is analysed again.

    Args:
        run: The run's folder, whose people.csv was edited.
    """

    run: Path = field(metadata=_RUN)


def list_people(options: ListOptions) -> int:
    """Print a row for each person of each clip."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from vidfer.results.apply import people_of
    from vidfer.results.files import read_table

    rows = read_table(people_of(options.run).with_suffix(".parquet"))
    if rows.empty:
        put("nobody was seen in the clips of this run")
        return 0
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for name in ("person", "name", "clip", "seen", "faces", "picture"):
        table.add_column(name, justify="right" if name == "faces" else "left", overflow="fold")
    for row in rows.astype(object).where(rows.notna(), None).to_dict("records"):
        counted = row["n_faces"] is not None  # one that is joined to a row above has no times and faces of its own
        seen = f"{row['first_s']:.1f}-{row['last_s']:.1f} s" if counted else "see above"
        picture = row["thumbnail"] and row["thumbnail"].rpartition("/")[2]  # in the clip's folder, as the row says
        cells = [row["person_id"], row["person_name"], row["clip_id"], seen, row["n_faces"], picture]
        table.add_row(*(cell("" if each is None else each) for each in cells))
    Console().print(table)
    return 0


def apply_people(options: ApplyOptions) -> int:
    """Apply, and count."""
    from vidfer.cli.display import say
    from vidfer.pages.run import write_pages
    from vidfer.results.apply import apply_edits

    done = apply_edits(options.run)
    write_pages(options.run, done.found)
    for note in done.notes:
        say(note)
    put(f"{done.people} people, of {done.tracks} that were tracked; {done.named} with a name")
    put(f"Open {options.run / 'people.csv'}; the other tables and all pages have the same ids and names.")
    return 0
