"""`report.html`: what was found in one clip, as a page that opens offline."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from vidfer.inference.decision import SMALL_MARGIN, UNCERTAIN
from vidfer.pages import report_facts
from vidfer.pages.environment import assets, render, seconds
from vidfer.pages.people import META, people_digest
from vidfer.pages.pictures import data_url
from vidfer.pages.report_people import people_of
from vidfer.pages.series import timeline
from vidfer.results.pictures import Pictures
from vidfer.results.vote_interval import BLOCK_S, LEAST_BLOCKS

if TYPE_CHECKING:
    import pandas as pd

_STYLES: Final = ("uPlot.min.css", "report.css")
_SCRIPTS: Final = ("uPlot.iife.min.js", "report_data.js", "report_lanes.js", "report_tracks.js", "report.js")
_MEDIA: Final = "media-src 'self' file:"


def render_report(
    tables: "Mapping[str, pd.DataFrame]",
    summary: Mapping[str, Any],
    pictures: Pictures,
    *,
    video: str | None = None,
    overlay: str | None = None,
    index: str | None = None,
) -> bytes:
    """Make the page of a clip from its results alone; everything in them is shown as text.

    Args:
        tables: The six tables of the clip, with people as they are to be shown (`vidfer.results.merge.apply_people`).
        summary: What `summary.json` holds.
        pictures: Blurred or not.
        video: Address of the clip's file from the page, percent-encoded; None where there is nothing to play.
        overlay: The same of the video with drawings.
        index: The same of the page of the run.

    Returns:
        HTML in UTF-8.
    """
    clip = tables["clips"].iloc[0]
    people = people_of(tables, summary, pictures)
    answers = report_facts.answers(clip, summary)
    chart = {**timeline(tables, summary, people, pictures), "overlay": overlay}
    labels = {person.person_id: person.label for person in people}
    warnings = clip["warnings"] if isinstance(clip["warnings"], str) and clip["warnings"] != answers[0].message else ""
    return render(
        "report.html",
        assets=assets(_STYLES, _SCRIPTS, _MEDIA),
        title=f"{clip['clip_id']} - vidfer",
        made_with=(META, people_digest(tables["people"])),
        **{"clip_id": clip["clip_id"], "video": video, "index": index, "chart": chart, "people": people},
        **{"answers": answers, "whole": answers[0], "agreement": report_facts.agreement(clip), "warnings": warnings},
        **{"summary_line": _in_short(clip), "close": _close(answers[0])},
        study=report_facts.study(clip),
        poster=pictures.poster and data_url(pictures.poster),
        blurred=pictures.blurred,
        hidden_people=len(people) - len(chart["people"]),
        has_baseline="baseline_happy" in tables["people"],
        **{"block_s": f"{BLOCK_S:g}", "least_s": f"{BLOCK_S * LEAST_BLOCKS:g}"},
        segments=report_facts.segments(tables["segments"], labels),
        n_segments=len(tables["segments"]),
        media=report_facts.media(clip, summary),
        denoising=report_facts.denoising(summary["denoise"]),
        origin=report_facts.origin(clip, summary),
        settings=report_facts.settings(summary),
        models=report_facts.models(summary),
        stages=report_facts.stages(summary),
    )


def _close(whole: report_facts.Answer) -> str | None:
    """Name the second expression where it is nearly as probable as the first."""
    near = whole.margin is not None and whole.margin < SMALL_MARGIN and whole.predominant != UNCERTAIN
    return whole.shares[1][0] if near else None


def _in_short(clip: "pd.Series[Any]") -> list[str]:
    length = clip["duration_s"]
    people = int(clip["n_people"])
    return [
        *([seconds(float(length))] if length == length and length else []),
        f"{people} {'person' if people == 1 else 'people'}",
        f"by {str(clip['modalities']).replace('+', ' and ')}"
        if isinstance(clip["modalities"], str)
        else "nothing to predict from",
    ]
