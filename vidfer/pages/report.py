"""`report.html`: what was found in one clip, as a page that opens offline."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from vidfer.pages.environment import assets, render
from vidfer.pages.people import META, people_digest
from vidfer.results.pictures import Pictures

if TYPE_CHECKING:
    import pandas as pd

_MEDIA: Final = "media-src 'self' file:"


def render_report(
    tables: "Mapping[str, pd.DataFrame]",
    summary: Mapping[str, Any],
    pictures: Pictures,
    *,
    video: str | None = None,
    overlay: str | None = None,
) -> bytes:
    """Make the page of a clip from its results alone; everything in them is shown as text.

    Args:
        tables: The six tables of the clip, with people as they are to be shown (`vidfer.results.merge.apply_people`).
        summary: What `summary.json` holds.
        pictures: Blurred or not.
        video: Address of the clip's file from the page, percent-encoded; None where there is nothing to play.
        overlay: The same of the video with drawings.

    Returns:
        HTML in UTF-8.
    """
    clip = tables["clips"].iloc[0]
    return render(
        "report.html",
        assets=assets(allow=_MEDIA),
        title=f"{clip['clip_id']} - vidfer",
        clip_id=clip["clip_id"],
        people=(META, people_digest(tables["people"])),
        summary=summary,
        video=video,
    )
