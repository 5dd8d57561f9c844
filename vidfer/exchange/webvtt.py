"""A clip's segments as WebVTT, the captions of web browsers and video players.

References:
    World Wide Web Consortium: WebVTT, the Web Video Text Tracks format, candidate recommendation of 4 April 2019.
"""

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

from vidfer.exchange.spans import line, people_rows
from vidfer.types import DISPLAYED

if TYPE_CHECKING:
    import pandas as pd


def webvtt_file(tables: "Mapping[str, pd.DataFrame]") -> bytes:
    """Write a cue for each segment, by start, with the person's name as voice and in the text, since players hide the voice.

    Cues of several people may overlap; players show them above one another.

    Args:
        tables: `people` and `segments` of one clip.
    """
    cues = [
        (span.start, span.end, at, f"<v {name}>{name}: {escape(span.text, quote=False)}")
        for at, row in enumerate(people_rows(tables))
        for name in [escape(line(row.participant), quote=False)]
        for span in row.spans
    ]
    blocks = [
        f"{number}\n{_clock(start)} --> {_clock(end)}\n{text}\n"
        for number, (start, end, _, text) in enumerate(sorted(cues), 1)
    ]
    head = f"WEBVTT\n\nNOTE {DISPLAYED} By vidfer.\n"
    return "\n".join([head, *blocks]).encode()


def _clock(time: int) -> str:
    """Write ms as hours, minutes, seconds and ms."""
    minutes, rest = divmod(time, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}"
