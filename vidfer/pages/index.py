"""`index.html`: all clips of a run in one table, what they show together, and how conditions differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from vidfer.pages.conditions import BY, WITHIN, conditions_of
from vidfer.pages.environment import assets, render
from vidfer.pages.shares import Bar, bar_of, bars_of, kinds_of
from vidfer.results.tally import KINDS, NOTHING, Tally
from vidfer.types import EMOTIONS, Status

if TYPE_CHECKING:
    import pandas as pd

INDEX: Final = "index.html"
"""The page's name in the folder of a run."""

META: Final = "vidfer-run"
"""Name of the `<meta>` in the page's head whose content is `Found.note`."""

AT_ONCE: Final = 50
"""Clips that the table shows at once, where scripts run."""

_HARMLESS: Final = (Status.PARTIAL, Status.NO_FACE, Status.NO_VIDEO)
"""Statuses that say what a file holds; others but `ok` are failures."""

_STUDY: Final = (WITHIN, BY, "stimulus")


@dataclass(frozen=True)
class Place:
    """What lies in a clip's folder, as addresses from the run's page, percent-encoded; None for what is not there."""

    report: str | None = None
    picture: str | None = None
    message: str = ""


@dataclass(frozen=True)
class Found:
    """What a run's page is made of.

    Args:
        name: Of the run.
        clips: Table `clips` of the run.
        people: Table `people`.
        tally: Sums over table `seconds`.
        places: What lies in each clip's folder, by `clip_id`.
        own: Columns of `clips` that came from files of participants.
        models: Which models answered, a line for each bundle and preset.
        tables: Names of the files beside the page, a row for each table: what it has, and its files.
        warnings: What is to be known of the folder, in sentences.
        note: Digest of all that the run's tables and pages are made of; empty where they have to be made again.
    """

    name: str
    clips: "pd.DataFrame" = field(repr=False)
    people: "pd.DataFrame" = field(repr=False)
    tally: Tally = field(repr=False)
    places: Mapping[str, Place] = field(default_factory=dict, repr=False)
    own: Sequence[str] = ()
    models: Sequence[str] = ()
    tables: Sequence[tuple[str, Sequence[str]]] = ()
    warnings: Sequence[str] = ()
    note: str = ""


def render_index(found: Found) -> bytes:
    """Make the page of a run; everything that comes from clips and tables is shown as text.

    Returns:
        HTML in UTF-8. The same results make the same page.
    """
    study = [name for name in _STUDY if name in found.clips and found.clips[name].notna().any()]
    rows = _rows(found, study)
    clips, time = _bars_of_clips(found.clips), _bars_of_time(found)
    conditions = conditions_of(found.clips, found.tally.means, list(found.own))
    charts = {"chart": conditions.chart if conditions else None, "atOnce": AT_ONCE}
    return render(
        "index.html",
        assets=assets(
            ("uPlot.min.css", "index.css"),
            ("uPlot.iife.min.js", "index.js", "conditions.js"),
            images="'self' file: data:",
        ),
        title=f"{found.name} - vidfer",
        meta=META,
        found=found,
        facts=_facts(found),
        statuses=_counted(found.clips["status"]),
        rows=rows,
        columns=_columns(study),
        choices=_choices(rows, study),
        shares=[
            ("Share of time", "by the predominant expression of each second and person with a usable face", time),
            ("Share of clips", "by the clip's predominant expression, faces and sound together", clips),
        ],
        kinds=kinds_of([*time, *clips]),
        conditions=conditions,
        data=charts,
    )


def _facts(found: Found) -> dict[str, Any]:
    clips = found.clips
    return {
        "clips": len(clips),
        "people": int(found.people["person_id"].nunique()),
        "named": int(found.people.dropna(subset=["person_name"])["person_id"].nunique()),
        "seconds": float(clips["duration_s"].fillna(0).sum()),
        "analyzed": clips["analyzed_at"].max() if clips["analyzed_at"].notna().any() else None,
    }


def _counted(values: "pd.Series[str]") -> list[tuple[str, int, str]]:
    """Count statuses, `ok` first, then the most frequent: status, number, and how grave it is."""
    counts = {str(name): int(number) for name, number in values.value_counts().items()}
    ordered = sorted(counts, key=lambda name: (name != Status.OK, -counts[name], name))
    return [(name, counts[name], grave(name)) for name in ordered]


def grave(status: str) -> str:
    """Tell how grave a clip's status is: `good`, `warn`, or `bad`."""
    return "good" if status == Status.OK else "warn" if status in _HARMLESS else "bad"


def _columns(study: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return key, title and kind (`text` or `number`) of the table's columns."""
    return [
        ("clip", "Clip", "text"),
        ("status", "Status", "text"),
        ("predominant", "Expression", "text"),
        ("margin", "Margin", "number"),
        ("faces", "Faces", "text"),
        ("sound", "Sound", "text"),
        ("agreement", "Agreement", "text"),
        ("people", "People", "number"),
        ("duration", "Length", "number"),
        *((name, name.capitalize(), "text") for name in study),
    ]


def _rows(found: Found, study: Sequence[str]) -> list[dict[str, Any]]:
    names = found.people.dropna(subset=["person_name"]).groupby("clip_id")["person_name"].unique()
    table = found.clips.astype(object).where(found.clips.notna(), None)
    return [_row(clip, found, study, list(names.get(clip["clip_id"], ()))) for clip in table.to_dict("records")]


def _row(clip: Mapping[Any, Any], found: Found, study: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    place = found.places.get(clip["clip_id"], Place())
    shares = {name: clip[name] or 0.0 for name in EMOTIONS}
    return {
        **{name: clip[name] for name in ("clip_id", "status", "predominant", "margin", "agreement", "duration_s")},
        "place": place,
        "grave": grave(clip["status"]),
        "bar": bar_of(clip["clip_id"], {name: one for name, one in shares.items() if one >= 0.005}, "").parts,
        "faces": clip["faces_predominant"],
        "faces_status": clip["faces_status"],
        "sound": clip["sound_predominant"],
        "sound_status": clip["sound_status"],
        "people": clip["n_people"],
        "names": names,
        "study": [(name, clip[name]) for name in study],
    }


def _choices(rows: Sequence[Mapping[str, Any]], study: Sequence[str]) -> list[tuple[str, str, list[str]]]:
    """Return what the table can be filtered by: key, title and the values that there are."""
    values = {
        "status": [row["status"] for row in rows],
        "predominant": [row["predominant"] or "" for row in rows],
        **{BY: [dict(row["study"])[BY] or "" for row in rows] if BY in study else []},
    }
    titles = {"status": "Status", "predominant": "Expression", BY: "Condition"}
    found = [(key, titles[key], sorted(set(filter(None, map(str, each))))) for key, each in values.items()]
    return [(key, title, each) for key, title, each in found if each]


def _bars_of_clips(clips: "pd.DataFrame") -> list[Bar]:
    import pandas as pd

    answers = clips["predominant"].fillna(NOTHING)
    ones = pd.DataFrame({kind: answers.eq(kind).astype("float64") for kind in KINDS})
    return bars_of(clips, ones, lambda count: "1 clip" if count == 1 else f"{count:,.0f} clips")


def _bars_of_time(found: Found) -> list[Bar]:
    seen = found.tally.time.drop(columns=NOTHING).reindex(found.clips["clip_id"].to_numpy(), fill_value=0.0)
    return bars_of(
        found.clips, seen, lambda lasting: f"{lasting:.0f} s" if lasting < 120 else f"{lasting / 60:,.0f} min"
    )
