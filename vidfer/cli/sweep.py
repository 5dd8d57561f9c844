"""`vidfer sweep`: search hyper-parameters of a training by a sweep file of Weights & Biases, on this machine."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from vidfer.cli.display import say
from vidfer.cli.ending import ending_in_order
from vidfer.cli.options import POSITIONAL
from vidfer.cli.put import cell, put
from vidfer.pipeline.atomic import results_folder
from vidfer.tasks.tracking import require_client
from vidfer.training.search import Search, Trial, short_name, short_value
from vidfer.training.sweep import Method, Sweep, read_sweep
from vidfer.training.sweep_results import BEST, MEANING, counted, write_results
from vidfer.types import UsageError, VidferError

_SHOWN = 20  # best trials in the terminal; all are in trials.csv


@dataclass(frozen=True)
class SweepOptions:
    """Search hyper-parameters of a training by a sweep file, on this machine and without an account.

    The file is that of Weights & Biases, see configs/sweeps. A sweep that was interrupted goes on when the same command is
    given again; given twice at once, or on several machines with the same folder, they share the trials.

    Args:
        file: The sweep file, such as configs/sweeps/classify.yaml.
        overrides: Values for every trial, such as classify.trainer.max_epochs=5; of a parameter, it is not searched.
        local: Search here, by Optuna.
        print: Print the file with all that is chosen here, for the command wandb sweep, and do nothing else.
        method: How values are chosen (default: as in the file).
        trials: Trials in all, those that are there included (default: the file's run_cap, or the whole grid).
        jobs: Trials at once.
        pipeline: Another pipeline than the file's, such as configs/pipeline_sample.yaml.
        wandb: Show the trials at Weights & Biases, as the file's command does.
        out: Folder of the results (default: runs/sweeps/NAME, by the file's name, with a method that is not the file's).
    """

    file: Path = field(metadata=POSITIONAL | {"metavar": "FILE"})
    overrides: list[str] = field(default_factory=list, metadata=POSITIONAL | {"metavar": "KEY=VALUE"})
    local: bool = False
    print: bool = False
    method: Method | None = None
    trials: int | None = None
    jobs: int = 1
    pipeline: Path | None = field(default=None, metadata={"metavar": "FILE"})
    wandb: bool = False
    out: Path | None = field(default=None, metadata={"metavar": "DIR"})

    def __post_init__(self) -> None:
        """Check the numbers, and that something is to be done."""
        for name, value in (("trials", self.trials), ("jobs", self.jobs)):
            if value is not None and value < 1:
                raise UsageError(f"--{name} has to be at least 1, not {value}")
        if self.local == self.print:
            raise UsageError("give --local to search on this machine, or --print for `wandb sweep`, see make sweep")


def run(options: SweepOptions) -> int:
    """Search, write the results, and print the trials by rank."""
    sweep = read_sweep(options.file, options.method, options.pipeline, options.overrides)
    if options.print:
        put(yaml.safe_dump(dict(sweep.content), sort_keys=False), end="")
        return 0
    require_client(options.wandb)
    folder = options.out or Path("runs/sweeps") / sweep.name
    if "early_terminate" in sweep.content:
        say(f"{options.file}: early_terminate is of Weights & Biases; here every trial is trained to its end")
    with results_folder(folder), ending_in_order():
        search = Search(sweep, folder, options.trials, options.jobs, wandb=options.wandb, tell=say)
        say(f"{sweep.name}: {counted(search.count)} by {sweep.method}, in {folder}")
        try:
            search.run()
        finally:
            trials = search.trials()
        left_out = write_results(search)
    print_trials(sweep, trials)
    for line in [*left_out, f"{sweep.metric}: {MEANING}", f"best: {folder / BEST}, which says how it is used"]:
        say(line)
    unfinished = [each for each in trials if each.score is None and not each.reason]
    if unfinished:
        raise VidferError(f"not finished: {counted(len(unfinished))}; run the same command again")
    return 0


def print_trials(sweep: Sweep, trials: Sequence[Trial]) -> None:
    """Print the best trials by rank, with the values that vary, and below them how many failed."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    varied = [each.name for each in sweep.parameters if not each.fixed]
    finished = [each for each in trials if each.score is not None]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for name in ("rank", "trial", sweep.metric, *map(short_name, varied), "time"):
        table.add_column(cell(name), justify="right", overflow="fold")
    for rank, each in enumerate(finished[:_SHOWN], start=1):
        values = [short_value(each.values[name]) for name in varied]
        cells = [str(rank), str(each.number), f"{each.score:.4f}", *values, f"{each.seconds or 0:.0f} s"]
        table.add_row(*map(cell, cells))
    console = Console()
    console.print(table)
    failed = sum(bool(each.reason) for each in trials)
    more = [f"{len(finished) - _SHOWN} more finished"] if len(finished) > _SHOWN else []
    more += [f"{failed} failed"] if failed else []
    if more:
        console.print(cell(f"{', '.join(more)}: see trials.csv"))
