"""The overview on standard output: a line for each clip, and below it what is to be known of the run."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vidfer.cli.put import cell, one_line
from vidfer.cli.text import shorten
from vidfer.inference.decision import SMALL_MARGIN, UNCERTAIN
from vidfer.media.quality import nearly_all
from vidfer.results.tables import narrow_band
from vidfer.types import DISPLAYED, EMOTIONS, Status

Summary = Mapping[str, Any]
Column = tuple[str, Literal["left", "right"], Callable[[Summary], str | Text]]
"""A column's name, its alignment, and what it says of a clip."""


_WIDE: Final = 110  # columns of a terminal in which there is room for more facts
_NAME: Final = 12  # columns that a clip's name has at least
_ROOMY: Final = 24  # columns that it has before those beside it are set wider apart
_ODD: Final = "magenta"  # can be read on light and on dark; the words say the same
_MARKS: Final = {
    "*": "neither the faces alone nor the sound alone say so, but both together do",
    "~": f"the margin is under {SMALL_MARGIN:g}: another expression is nearly as probable",
}


def print_overview(summaries: Sequence[Summary]) -> None:
    """Print a line per clip: status, the predominant expression with its margin, and each modality's prediction."""
    console = Console()
    columns = _columns(wide=console.width >= _WIDE)
    console.print(_clip_table("Displayed expressions", summaries, columns, console))
    voting = [summary for summary in summaries if (summary["settings"] or {}).get("faces") == "vote"]
    if voting:
        console.print(_vote_table(voting, console))
    found = {mark for summary in summaries for mark in marks(summary)}
    legend = [f"{mark} {text}" for mark, text in _MARKS.items() if mark in found]
    for line in (
        *legend,
        *_unusable(summaries),
        *_uncertain(summaries),
        *_narrow_band(summaries),
        *_denoised(summaries),
        *_weights(summaries),
        DISPLAYED,
    ):
        console.print(cell(line, "dim"))


def marks(summary: Summary) -> str:
    """Return the marks of a clip's answer: `*` where it is neither modality's own, `~` where its margin is under 0.1."""
    answer = summary["predominant"]
    if answer is None or answer == UNCERTAIN:
        return ""
    shares = [summary[part]["distribution"] for part in ("faces", "sound")]
    neither = all(shares) and answer not in [max(each, key=each.__getitem__) for each in shares]
    return ("*" if neither else "") + ("~" if summary["margin"] < SMALL_MARGIN else "")


def _clip_table(title: str, summaries: Sequence[Summary], columns: Sequence[Column], console: Console) -> Table:
    """Make a table of one line a clip, whose id gets the room that the other columns leave."""
    rows = [[Text.assemble(say(summary)) for _, _, say in columns] for summary in summaries]
    names = [summary["clip_id"] for summary in summaries]
    room = console.width - sum(
        max([cell_len(name), *(row[at].cell_len for row in rows)]) for at, (name, _, _) in enumerate(columns)
    )
    longest = max(map(cell_len, ["all clips", *names]))
    gap = 2 if room - 2 * len(columns) >= min(longest, _ROOMY) else 1
    table = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, gap - 1, 0, 0),
    )
    table.add_column("clip", no_wrap=True)
    for name, justify, _ in columns:
        table.add_column(name, no_wrap=True, justify=justify)
    width, mark = max(_NAME, room - gap * len(columns)), "..." if console.options.ascii_only else "…"
    for name, row in zip(names, rows, strict=True):
        table.add_row(cell(shorten(one_line(name), width, mark)), *row)
    return table


def _columns(*, wide: bool) -> list[Column]:
    """Return the columns beside the clip's name; a wide terminal has room for some more."""
    columns: list[Column] = [
        ("status", "left", lambda clip: cell(clip["status"], "" if clip["status"] == Status.OK else _ODD)),
        ("predominant", "left", lambda clip: Text.assemble(_predominant(clip["predominant"]), marks(clip))),
        ("margin", "right", lambda clip: "-" if clip["margin"] is None else f"{clip['margin']:.2f}"),
        ("faces", "left", lambda clip: _modality(clip["faces"])),
        ("sound", "left", lambda clip: _modality(clip["sound"])),
    ]
    more: list[Column] = [
        ("second", "left", lambda clip: _second(clip["fused"]["distribution"])),
        ("people", "right", lambda clip: str(len(clip["people"]))),
        ("face images", "right", lambda clip: str(clip["faces"].get("n_faces", "-"))),
        ("speech", "right", _speech),
    ]
    return [*columns, *more] if wide else columns


def _second(distribution: Mapping[str, float] | None) -> str:
    """Name the second most probable expression."""
    if not distribution:
        return "-"
    name = sorted(distribution, key=distribution.__getitem__)[-2]
    return f"{name} {distribution[name]:.2f}"


def _speech(summary: Summary) -> str:
    """Say in how many of the windows of sound someone speaks."""
    sound = summary["sound"]
    heard = sound.get("n_windows", 0)
    return f"{heard - sound.get('n_silent', 0) - sound.get('n_no_voice', 0)}/{heard}" if heard else "-"


def _vote_table(summaries: Sequence[Summary], console: Console) -> Table:
    """Count the face images of each clip by their most probable class, and of all clips together."""
    columns: list[Column] = [(name, "right", partial(_count, name=name)) for name in ("faces", *EMOTIONS)]
    columns.append(("vote", "left", lambda clip: _predominant((clip["faces"]["vote"] or {}).get("predominant"))))
    table = _clip_table("Votes of the face images", summaries, columns, console)
    if len(summaries) > 1:
        total = sum(map(_votes, summaries), Counter[str]())
        first = max(EMOTIONS, key=total.__getitem__) if any(total[name] for name in EMOTIONS) else None
        table.add_section()
        table.add_row("all clips", *(str(total[name]) for name in ("faces", *EMOTIONS)), _predominant(first))
    return table


def _votes(summary: Summary) -> Counter[str]:
    """Count a clip's face images by their most probable class, and all of them as `faces`."""
    faces = summary["faces"]
    shares = (faces["vote"] or {}).get("distribution") or {}
    voting = faces["n_faces"] - faces["n_uncertain"]
    return Counter({"faces": faces["n_faces"], **{name: round(share * voting) for name, share in shares.items()}})


def _count(summary: Summary, name: str) -> str:
    return str(_votes(summary)[name])


def _weights(summaries: Sequence[Summary]) -> Iterator[str]:
    """Say whose weights predicted: those of all clips are the same."""
    if found := next((summary for summary in summaries if summary["models"]), None):
        preset = "" if found["preset"] == "default" else f", preset {found['preset']}"
        models = [f"{kind} {Path(each['weights']).name} ({each['network']})" for kind, each in found["models"].items()]
        yield f"Weights of the bundle {found['bundle']}{preset}: {', '.join(models)}."


def _denoised(summaries: Sequence[Summary]) -> Iterator[str]:
    """Say what denoising did, unless it left every face alone."""
    counts = [summary["denoise"] for summary in summaries if summary["denoise"] and summary["denoise"]["denoised"]]
    if counts:
        faces, denoised = (sum(each[name] for each in counts) for name in ("faces", "denoised"))
        changed = [each["answers_changed"] for each in counts if each["answers_changed"] is not None]
        effect = f": {sum(changed)} predictions changed" if changed else ""
        yield f"Denoised {denoised} of {faces} faces in {len(counts)} of {len(summaries)} clips{effect}."


def _unusable(summaries: Sequence[Summary]) -> Iterator[str]:
    """Name each clip whose faces are nearly all hardly usable, and say why."""
    for summary in summaries:
        if nearly_all(summary["faces"].get("n_unusable", 0), summary["faces"].get("n_faces", 0)):
            yield f"{summary['clip']}: {summary['faces']['message']}"


def _uncertain(summaries: Sequence[Summary]) -> Iterator[str]:
    """Say how many clips got no class by --abstain, unless all did."""
    left = [summary["settings"]["abstain"] for summary in summaries if summary["predominant"] == UNCERTAIN]
    if left:
        yield f"Uncertain: {len(left)} of {len(summaries)} clips, where no class has a probability of {left[0]:g} or more."


def _narrow_band(summaries: Sequence[Summary]) -> Iterator[str]:
    """Say in how many clips the sound lacks a part of its band, and what that means."""
    said = Counter(filter(None, map(narrow_band, summaries)))
    for sentence, count in said.items():
        yield f"In {count} of {len(summaries)} clips {sentence}."


def _predominant(name: str | None) -> Text:
    return cell(name or "-", _ODD if name == UNCERTAIN else "bold")


def _modality(part: Mapping[str, Any]) -> Text:
    """Name a modality's class with its probability, in brackets where that is too low to predict it."""
    if (
        part["predominant"] is None
    ):  # what was read without a fault has windows or face images, unless markers exclude them
        gone = part["status"] == Status.OK and part.get("n_windows", part.get("n_faces")) == 0
        return cell("excluded" if gone else part["status"], "dim")
    name = max(part["distribution"], key=part["distribution"].__getitem__)
    named = f"{name} {part['distribution'][name]:.2f}"
    return cell(f"({named})", "dim") if part["predominant"] == UNCERTAIN else cell(named)
