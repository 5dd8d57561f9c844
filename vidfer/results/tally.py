"""What the seconds of a run come to, read in parts, so that a run may be larger than memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vidfer.inference.decision import UNCERTAIN
from vidfer.types import EMOTIONS

if TYPE_CHECKING:
    import pandas as pd

NOTHING: Final = "none"
"""Where no usable face, or no prediction, is."""

KINDS: Final = (*EMOTIONS, UNCERTAIN, NOTHING)

_COLUMNS: Final = ("clip_id", "person_id", "start_s", "end_s", "expression", *EMOTIONS)
_AT_ONCE: Final = 65_536  # rows


@dataclass(frozen=True)
class Tally:
    """Sums over table `seconds`.

    Args:
        time: A row for each clip, by `clip_id`: s in which each of `KINDS` is predominant, those of several people added up.
        means: A row for each clip and person with a usable face: `clip_id`, `person_id`, and each expression's mean probability
            over these seconds. `compare` has the same results from it as from table `seconds`.
    """

    time: "pd.DataFrame" = field(repr=False)
    means: "pd.DataFrame" = field(repr=False)


def tally_seconds(table: Path) -> Tally:
    """Add up a run's `seconds.parquet`."""
    import pandas as pd

    times, sums = [], []
    for rows in _parts(table):
        shown = rows["expression"].fillna(NOTHING)
        lasted = (rows["end_s"] - rows["start_s"]).groupby([rows["clip_id"], shown]).sum()
        times.append(lasted.unstack(fill_value=0.0))
        seen = rows[rows[EMOTIONS[0]].notna() & rows["person_id"].notna()]
        sums.append(seen.assign(rows=1.0).groupby(["clip_id", "person_id"])[[*EMOTIONS, "rows"]].sum())
    if not times:
        none = pd.DataFrame(columns=list(_COLUMNS[:2]), dtype="string")
        return Tally(pd.DataFrame(columns=list(KINDS), dtype="float64"), none.assign(**dict.fromkeys(EMOTIONS, 0.0)))
    time = pd.concat(times).groupby("clip_id").sum().reindex(columns=list(KINDS)).fillna(0.0).astype("float64")
    total = pd.concat(sums).groupby(["clip_id", "person_id"]).sum()
    return Tally(time, total[list(EMOTIONS)].div(total["rows"], axis=0).reset_index())


def _parts(table: Path) -> "Iterator[Any]":
    import pyarrow.parquet as pq

    with table.open("rb") as file:
        for batch in pq.ParquetFile(file).iter_batches(_AT_ONCE, columns=list(_COLUMNS), use_threads=False):
            rows = batch.to_pandas(use_threads=False)
            if len(rows):
                yield rows.astype({"clip_id": "string", "person_id": "string", "expression": "string"})
