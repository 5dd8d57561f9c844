"""Questions about the clips of a whole study."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vidfer.api.options import in_keywords
from vidfer.api.run import load_run
from vidfer.pipeline.extras import explained_imports
from vidfer.results import compare as rules
from vidfer.results.compare import Comparison
from vidfer.results.compare_units import Measure
from vidfer.results.run import Run
from vidfer.types import UsageError

if TYPE_CHECKING:
    import pandas as pd


@explained_imports("vidfer.compare")
def compare(
    run: "Run | str | Path | Mapping[str, pd.DataFrame]",
    by: str,
    *,
    within: str | None = None,
    measure: Measure = "probability",
) -> Comparison:
    """Compare the conditions that a column of the clips names, as `vidfer compare` does.

    The unit of analysis is the participant: clips of one participant in one condition are averaged first. With `within`, each
    pair of conditions is compared within those who have both; else as independent groups.

    Args:
        run: A run or its folder, or its tables `seconds` and `clips` by name, to which you may have added the columns.
        by: Column of `clips` with the conditions, such as `condition` of a file of participants.
        within: Column with those who are compared with themselves, such as `participant`.
        measure: What is averaged: `probability` of the faces, in [0, 1], or another of `vidfer compare --help`.

    Returns:
        `means`, a row for each condition and expression with a 95 % interval; `differences`, a row for each pair of conditions
        and expression with interval, effect size and p; `notes`, what to know, in sentences.

    Raises:
        UsageError: A column is not there, or there is nothing to compare, or too many conditions.

    Example:
        >>> import pandas as pd
        >>> import vidfer
        >>> happy = [0.2, 0.4, 0.7, 0.6]
        >>> shares = {name: 0.0 for name in vidfer.EMOTIONS} | {"happy": happy, "neutral": [1 - share for share in happy]}
        >>> ids = {"clip_id": list("abcd"), "person_id": list("abcd"), "usable_share": 1.0}
        >>> clips = pd.DataFrame({"clip_id": list("abcd"), "film": ["sad", "sad", "funny", "funny"]})
        >>> comparison = vidfer.compare({"seconds": pd.DataFrame(ids | shares), "clips": clips}, by="film")
        >>> comparison.means.query("expression == 'happy'")["mean"].round(2).tolist()
        [0.65, 0.3]
    """
    if isinstance(run, str | Path):
        run = load_run(run)
    tables = {"seconds": run.seconds, "clips": run.clips} if isinstance(run, Run) else run
    if lacking := [name for name in ("seconds", "clips") if name not in tables]:
        raise UsageError(f"there is no table {lacking[0]}: give the run's tables seconds and clips")
    with in_keywords():
        return rules.compare(tables, by, within, measure)
