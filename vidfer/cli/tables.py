"""`vidfer tables`: the paper's tables and figures, measured anew on named data."""

import sys

from vidfer.cli.display import progress_bar, say
from vidfer.cli.put import put, put_json
from vidfer.paper.rerun import RerunOptions, overview, rerun_tables, summary
from vidfer.pipeline.atomic import results_folder


def run(options: RerunOptions) -> int:
    """Rerun the tables; the exit status is 1 when a cell is missing."""
    from vidfer.paper.page import write_rerun

    with results_folder(options.out) as out, progress_bar() as bar:
        progress = bar if sys.stderr.isatty() else lambda done, total, cell: say(f"{done:g}/{total:g}: {cell}")
        rerun = rerun_tables(options, say, progress)
        page, *_ = write_rerun(rerun, out)
    put("\n".join(overview(rerun)))
    put_json(summary(rerun, page))
    return int(any(result.metrics is None for result in rerun.results))
