"""`vidfer compare`: the conditions of a study beside each other."""

from dataclasses import dataclass, field
from pathlib import Path

from vidfer.cli.options import POSITIONAL
from vidfer.cli.put import put
from vidfer.results.compare_units import Measure


@dataclass(frozen=True)
class CompareOptions:
    """Compare the conditions of a study: means with 95 % intervals, differences, effect sizes, a plot.

    The unit of analysis is the participant: clips of one participant in one condition are averaged first.

    Args:
        run: Folder that `vidfer analyze --out` wrote.
        by: Column with the conditions, from the file of participants.
        within: Column with those who are compared with themselves, such as participant, or person; without it, groups are
            independent.
        measure: `probability` is the mean over the seconds with a usable face, `share-of-time` the share of them in which the
            expression is predominant, `baseline` as `probability` but against each person's own reference, `clip` the clip's
            answer from faces and sound, `sound` that of the sound.
        out: Folder of the tables and the plot (default: compare in the run's folder).
    """

    run: Path = field(metadata=POSITIONAL | {"metavar": "RUN"})
    by: str = field(metadata={"metavar": "COLUMN"})
    within: str | None = field(default=None, metadata={"metavar": "COLUMN"})
    measure: Measure = "probability"
    out: Path | None = field(default=None, metadata={"metavar": "DIR"})


def run(options: CompareOptions) -> int:
    """Compare, print the tables, and write them beside a plot."""
    from vidfer.api.run import load_run
    from vidfer.plots.compare_files import write_comparison
    from vidfer.results.compare import compare
    from vidfer.results.compare_text import as_text

    loaded = load_run(options.run)
    tables = {"seconds": loaded.seconds, "clips": loaded.clips}
    found = compare(tables, options.by, options.within, options.measure)
    put(as_text(found))
    put(f"\nTables and plot: {write_comparison(found, options.out or options.run / 'compare')}.*")
    return 0
