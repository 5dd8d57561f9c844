"""A clip with given names, segments and markers, as tables and a summary."""

import numpy as np
import pandas as pd

from tests.plots.clips_made import clip
from tests.results.made import summary_of
from vidfer.results.schema import typed

NAMES = (
    *(
        "Anna",
        "<b> & \"co\" 'x'",
        "a --> b",
        "two\nlines\ttab",
        "Żółć 日本語 🙂",
        "A",
        "=1+1",
        "<v x>",
        "  ",
        "\x01\x0b\ufffe",
    ),
    *("a\r\nb", "]]>", "&amp;", "a; b (2)"),
)
"""Names that users, or files, may have given."""


def clip_with(names, segments, *, markers=(), cuts=(), seconds=4.0, sound=False, path="clips/a.mp4"):
    """Return tables and summary of a clip: names by person, from 1; segments `(person, start, end, expression)`."""
    tables = clip(
        seconds, len(names), names={n: name for n, name in enumerate(names, 1) if name is not None}, sound=sound
    )
    rows = pd.DataFrame(segments, columns=["person", "start_s", "end_s", "expression"])
    rows["person_id"] = [f"a.mp4#{person}" for person in rows.pop("person")]
    tables["segments"] = typed("segments", rows.assign(clip_id="a.mp4"))
    summary = summary_of(len(names), clip=path)
    summary["media"] = {**summary["media"], "cuts_s": list(cuts)}
    keys = ("name", "start", "end", "exclude")
    summary["tables"] = {"markers": [dict(zip(keys, one, strict=True)) for one in markers]}
    tables["clips"] = tables["clips"].assign(duration_s=seconds, path=path, width=640, height=360)
    return tables, summary


def random_segments(people, count=6, seed=0):
    """Return segments of each person that do not overlap, those of different people do."""
    rng = np.random.default_rng(seed)
    names = ("happy", "sad", "neutral", "uncertain")
    found = []
    for person in range(1, people + 1):
        ends = np.sort(rng.choice(np.arange(1, 39999), 2 * count, replace=False)) / 10_000
        found += [(person, *pair, names[at % 4]) for at, pair in enumerate(ends.reshape(-1, 2).tolist())]
    return found
