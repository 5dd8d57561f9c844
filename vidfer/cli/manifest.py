"""`vidfer analyze --manifest`: from a table that names clips to tables in parts."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vidfer.cli.display import fault, progress_bar, say_where_faces_are_kept
from vidfer.cli.ending import ending_in_order
from vidfer.cli.put import cell, put, put_json
from vidfer.types import DISPLAYED

if TYPE_CHECKING:
    from vidfer.api.many import ManifestRun
    from vidfer.cli.analyze import AnalyzeOptions


def analyze_manifest(options: "AnalyzeOptions", manifest: Path) -> int:
    """Analyse what the manifest names, print what became of it, and return the exit status."""
    from vidfer.api.many import ManifestAnalysis
    from vidfer.pipeline.store import Store, default_store

    if options.cluster.engine == "local":
        options.work.chain.compute.require()
    store = Store(options.work.store or default_store())
    say_where_faces_are_kept(store, options.work.store, pictures=options.work.chain.keep_faces)
    engine = options.engine(retries=1)
    how = ManifestAnalysis(options.work.chain, options.tables, store, engine, options.parts or ())
    with ending_in_order(), progress_bar() as bar:
        run = how.run(
            manifest,
            options.out,
            on_clip=(lambda summary: put_json(summary)) if options.json else None,
            progress=lambda done, total: bar(done, total, "clips"),
        )
    if not options.json:
        _print_run(run)
        sys.stdout.flush()
    for each in run.faults:
        fault(each)
    if run.n_faults > len(run.faults):
        rest = run.n_faults - len(run.faults)
        fault(
            f"{rest:,} more clips could not be read without a fault: see status and warnings in {run.folder / 'clips'}"
        )
    return int(run.n_faults > 0)


def _print_run(run: "ManifestRun") -> None:
    """Print how many clips have each status, and each predominant expression."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for title, counts in (("status", run.statuses), ("predominant", run.predominant)):
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        table.add_column(title, min_width=12)
        table.add_column("clips", justify="right", min_width=9)
        for name, number in counts.items():
            table.add_row(cell(name), f"{number:,}")
        if counts:
            console.print(table)
            put()
    rows = "1 clip: its row is" if run.n_clips == 1 else f"{run.n_clips:,} clips: a row for each is"
    put(f"{rows} in {run.folder / 'clips'}.\n{DISPLAYED}")
