"""A result as a small table in a notebook."""

from html import escape
from typing import TYPE_CHECKING, Any, Final

from vidfer.types import DISPLAYED, EMOTIONS, Status

if TYPE_CHECKING:
    from vidfer.api.result import ClipResult

PEOPLE: Final = 6
"""People that have a row of their own, in order of appearance."""


def as_html(result: "ClipResult") -> str:
    """Return a table with a row for the clip, its faces, its sound, and each of the first people; everything is escaped."""
    summary = result.summary
    parts = [("clip", summary["fused"]), ("faces", summary["faces"]), ("sound", summary["sound"])]
    people = [(f"person {person['person']}", {"status": "", **person}) for person in summary["people"]]
    names = ("", "status", "displays", "margin", *EMOTIONS)
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(_row(name, part) for name, part in (*parts, *people[:PEOPLE]))
    more = [f"and {len(people) - PEOPLE} more people"] if len(people) > PEOPLE else []
    notes = [summary["message"]] if summary["status"] != Status.OK else []
    foot = "".join(f"<div>{escape(str(note))}</div>" for note in (*more, *notes, DISPLAYED) if note)
    title = f"<div><b>{escape(result.clip_id)}</b></div>"
    return f"{title}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{foot}"


def _row(name: str, part: dict[str, Any]) -> str:
    margin = "" if part["margin"] is None else f"{part['margin']:.2f}"
    known = part["distribution"]
    shares = ["" if known is None else f"{known[emotion]:.2f}" for emotion in EMOTIONS]
    cells = (name, part["status"], part["predominant"] or "", margin, *shares)
    return "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>"
