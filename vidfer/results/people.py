"""Who is who in a run: what a user wrote into `people.csv`, and what `--identify` found."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from vidfer.pipeline.columns import unescaped
from vidfer.results.sheets import read_sheet
from vidfer.results.tables import person_id
from vidfer.types import VidferError

PEOPLE: Final = "people.csv"
"""Name of the file in the folder of a run."""

KEY: Final = ("clip_id", "person")
"""The columns of `people.csv` that say which tracked person a row is of."""

WRITTEN: Final = ("name", "same_as")
"""Those that a user may edit."""

LINKED: Final = "linked_to"
"""That in which `--identify` notes what it found."""


NOBODY_ELSE: Final = "nobody"
"""In `same_as`: this is a person of its own, whatever `--identify` finds."""


@dataclass(frozen=True)
class Row:
    """One person of one clip in `people.csv`: what stands in the editable columns, and in which line of the file."""

    line: int
    name: str = ""
    same_as: str = ""
    linked_to: str = ""


@dataclass(frozen=True)
class People:
    """Who is who.

    Args:
        ids: The id of each tracked person that is another's.
        names: The user's names by id.
        links: What `--identify` found, by tracked person.
    """

    ids: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)

    def concern(self, tracked: Iterable[str]) -> bool:
        """Tell whether anything is said of one of these tracked persons."""
        return any(one in known for one in tracked for known in (self.ids, self.names, self.links))

    def of(self, tracked: str) -> str:
        """Return the id of a tracked person."""
        return self.ids.get(tracked, tracked)


def read_people(path: Path, links: Mapping[str, str] | None = None) -> People:
    """Read who is who from `people.csv`, and from links where they are given; raises as `read_rows` and `resolve` do."""
    return resolve(path, read_rows(path), links)


def read_rows(path: Path) -> dict[str, Row]:
    """Read the rows of `people.csv` by tracked person; none where there is no such file.

    Raises:
        VidferError: The file cannot be read, or a row does not say whose it is, or is there twice.
    """
    rows: dict[str, Row] = {}
    if not path.exists():
        return rows
    sheet = read_sheet(path, (*KEY, *WRITTEN), (LINKED,), KEY[:1])
    for line, cells in sheet.rows:
        tracked = tracked_of(path, line, cells)
        if tracked in rows:
            raise VidferError(f"{path}, line {line}: {tracked} is in line {rows[tracked].line} already: remove one row")
        rows[tracked] = Row(line, *(unescaped(cells.get(name, "")) for name in (*WRITTEN, LINKED)))
    return rows


def tracked_of(path: Path, line: int, cells: Mapping[Any, Any]) -> str:
    """Return the tracked person that a row is of, by its columns `KEY`.

    Raises:
        VidferError: They do not say that.
    """
    clip_id, cell = (str(cells[name]) for name in KEY)
    whole = cell.strip().removesuffix(".0").removesuffix(",0")
    if not whole.isdecimal():
        said = f"person is '{cell}', not the number that vidfer wrote there: put it back"
        raise VidferError(f"{path}, line {line}: {said}")
    return person_id(unescaped(clip_id), int(whole))


def resolve(path: Path, rows: Mapping[str, Row], links: Mapping[str, str] | None = None) -> People:
    """Find out who is who: chains of `same_as` end at one person, and give way to nobody.

    A link counts where the user wrote nothing into `same_as` of that row, and where it joins nobody of different names.

    Args:
        path: `people.csv`, for messages.
        rows: What it holds, see `read_rows`.
        links: What `--identify` found; by default what it found earlier, as it stands in the rows.

    Raises:
        VidferError: `same_as` names nobody of the run, leads in a circle, or joins persons of different names.
    """
    if links is None:
        links = {one: row.linked_to for one, row in rows.items() if row.linked_to in rows}
    towards = _user_links(path, rows)
    names: dict[str, str] = {}
    for one in sorted(rows, key=lambda one: towards.get(one, one) != one):  # who is nobody else gives the name
        _name(path, rows, names, one, _end(towards, one))
    for one, other in sorted(links.items()):
        first, second = _end(towards, one), _end(towards, other)
        said = rows[one].same_as if one in rows else ""
        if not said and first == one != second and not _differ(names.get(first), names.get(second)):
            towards[one] = other
            names |= {second: names[first]} if first in names else {}
    known = {*rows, *links}
    return People(
        {one: end for one in known if (end := _end(towards, one)) != one},
        {end: name for end, name in names.items() if _end(towards, end) == end},
        links,
    )


def _user_links(path: Path, rows: Mapping[str, Row]) -> dict[str, str]:
    """Return whom each row's `same_as` names, but for those that name nobody or themselves."""
    towards = {
        one: row.same_as for one, row in rows.items() if row.same_as.lower() not in ("", NOBODY_ELSE, one.lower())
    }
    for one, other in towards.items():
        if other not in rows:
            raise VidferError(f"{path}, line {rows[one].line}: same_as is '{other}', {_near(other, rows)}")
    for start in towards:
        seen, one = [start], towards[start]
        while one in towards and one not in seen:
            seen.append(one)
            one = towards[one]
        if one == start:
            lines = ", ".join(str(rows[each].line) for each in seen)
            raise VidferError(
                f"{path}, line {rows[start].line}: same_as leads in a circle (lines {lines}): clear it in one of them"
            )
    return towards


def _near(unknown: str, rows: Iterable[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(unknown, rows, 1)
    return "which is no person_id of this run" + (f": did you mean {near[0]}?" if near else "")


def _end(towards: Mapping[str, str], one: str) -> str:
    while one in towards:
        one = towards[one]
    return one


def _name(path: Path, rows: Mapping[str, Row], names: dict[str, str], one: str, end: str) -> None:
    name = rows[one].name
    if not name:
        return
    if _differ(names.setdefault(end, name), name):
        raise VidferError(
            f"{path}, line {rows[one].line}: {one} is called {name}, and the same person {names[end]} in another row: "
            "give one name, or clear same_as"
        )


def _differ(one: str | None, other: str | None) -> bool:
    return bool(one and other and one != other)
