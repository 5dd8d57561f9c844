"""`vidfer pipeline`: train all models of a configuration, stage by stage, into a bundle."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from vidfer.cli.display import bars, say
from vidfer.cli.ending import ending_in_order
from vidfer.cli.options import POSITIONAL
from vidfer.cli.put import cell, put
from vidfer.pipeline.store import Store, default_store
from vidfer.tasks.tracking import require_client
from vidfer.training.config import Configuration, read_configuration
from vidfer.training.graph import draw_chain
from vidfer.training.reasons import reason
from vidfer.training.run import Progress, run_steps, write_bundle
from vidfer.training.slurm import Job, Submission, jobs_of, parse_options, require_slurm, submit_steps, wait_for_steps
from vidfer.training.steps import Step, plan_steps, share_trained, weights_of
from vidfer.types import UsageError

ACTIONS: Final = {
    "run": "vidfer.cli.pipeline.run",
    "plan": "vidfer.cli.pipeline.plan",
    "status": "vidfer.cli.pipeline.status",
    "graph": "vidfer.cli.pipeline.graph",
}

StepName = Literal["denoise", "finetune", "classify", "classify_faces", "fusion", "calibrate", "evaluate", "bundle"]


_LOOK: Final = 5.0  # seconds between two looks at the jobs of a pipeline


@dataclass(frozen=True)
class PipelineOptions:
    """Which pipeline.

    Args:
        file: The pipeline's YAML file, such as configs/pipeline_sample.yaml.
        overrides: Values above those of the file, such as classify.model.lr=0.01.
        set: The same as an option; may be given several times.
        until: Last step, with all that it needs (default: all, to the bundle).
        wandb: Show the trainings at Weights & Biases, by what the file's `wandb` says, see docs/how-to/wandb.md.
        args: Words of LightningCLI's command line for the training that --until names, such as "--trainer.max_epochs 3".
        store: Artifacts of earlier runs (default: $VIDFER_STORE, or the user's cache).
    """

    file: Path = field(metadata=POSITIONAL | {"metavar": "CONFIG"})  # `config` is the file of options, --config
    overrides: list[str] = field(default_factory=list, metadata=POSITIONAL | {"metavar": "KEY=VALUE"})
    set: list[str] = field(default_factory=list, metadata={"metavar": "KEY=VALUE"})
    until: StepName | None = None
    wandb: bool = False
    args: str = field(default="", metadata={"metavar": "WORDS"})
    store: str | None = field(default=None, metadata={"metavar": "DIR|URL"})


@dataclass(frozen=True)
class PlanOptions:
    """Show the steps of a pipeline: which are stored, why the others are not, and how long they may take."""

    pipeline: PipelineOptions


@dataclass(frozen=True)
class StatusOptions:
    """Show what a pipeline has made so far: where the weights are, and how far an unfinished training is."""

    pipeline: PipelineOptions


@dataclass(frozen=True)
class GraphOptions:
    """Print the chain as a flowchart in the language of Mermaid."""


@dataclass(frozen=True)
class RunOptions:
    """Train what a pipeline lacks, measure it, and write the bundle; what is stored is not made again.

    A run that was interrupted goes on where it was when the same command is given again.

    Args:
        out: Folder of the bundle (default: bundles/NAME, by the pipeline's name).
        jobs: Clips at once.
        engine: Where steps are made: here, or each as a job of SLURM, which begins when those that it needs are finished.
        partition: Of SLURM, for every job.
        slurm: Another option of sbatch for every job, such as account=mine; may be given several times.
        no_wait: Leave the jobs to SLURM once they are submitted, see `vidfer pipeline status`.
    """

    pipeline: PipelineOptions
    out: Path | None = field(default=None, metadata={"metavar": "DIR"})
    jobs: int = 1
    engine: Literal["local", "slurm"] = "local"
    partition: str | None = None
    slurm: list[str] = field(default_factory=list, metadata={"metavar": "KEY=VALUE"})
    no_wait: bool = False

    def __post_init__(self) -> None:
        """Check the number of jobs."""
        if self.jobs < 1:
            raise UsageError(f"--jobs has to be at least 1, not {self.jobs}")
        if self.engine == "local" and (self.partition or self.slurm or self.no_wait):
            raise UsageError("--partition, --slurm and --no-wait are for --engine slurm")


def plan(options: PlanOptions) -> int:
    """Print the plan."""
    _, steps, store = _planned(options.pipeline)
    print_plan(steps, store)
    return 0


def status(options: StatusOptions) -> int:
    """Print the state."""
    _, steps, store = _planned(options.pipeline)
    print_status(steps, store)
    return 0


def graph(options: GraphOptions) -> int:
    """Print the picture."""
    put(draw_chain(), end="")
    return 0


def run(options: RunOptions) -> int:
    """Run the pipeline, and say where its result is."""
    configuration, steps, store = _planned(options.pipeline)
    require_client(configuration.wandb is not None)
    due = [step.label for step in steps if step.due]
    if options.engine == "slurm":
        require_slurm()
    if due:
        print_plan(steps, store, stderr=True)
    _check([step for step in steps if step.due and step.fold is None])
    if options.engine == "slurm" and due:
        jobs = _submit(options, configuration, steps, store)
        if options.no_wait:
            return 0
        with pipeline_bar([step for step in steps if step.name in jobs and step.fold is None]) as shown:
            wait_for_steps(steps, store, jobs, lambda name, share, doing: shown(name, share, doing), _LOOK)
        steps = plan_steps(configuration, store, options.pipeline.until)  # all stored: only the bundle is copied below
        due = []
    with ending_in_order(), pipeline_bar(steps) as progress:  # what it started ends with it
        for step in run_steps(configuration, steps, store, options.jobs, progress, say):
            if step.label in due:
                say(f"{step.label}: finished, {time.strftime('%H:%M')}")
    last = step
    if last.name == "bundle" and last.artifact is not None:
        out = options.out or Path("bundles") / configuration.name
        write_bundle(last.artifact, out)
        say(f"bundle: {out}, its figures in {out / 'evaluation.html'}")
        put(f"vidfer analyze CLIP --models {out}")
    elif last.section is not None:
        put(weights_of(last))
    elif last.artifact is not None:
        put(last.artifact.path)
    return 0


def _submit(options: RunOptions, configuration: Configuration, steps: Sequence[Step], store: Store) -> dict[str, Job]:
    """Submit the jobs of missing steps, and name them."""
    chosen = options.pipeline
    values = [*chosen.overrides, *chosen.set]
    words = [str(chosen.file), *(word for value in values for word in ("--set", value))]
    words += [*(["--wandb"] if chosen.wandb else []), f"--jobs={options.jobs}"]
    words += [f"--store={chosen.store}"] if chosen.store else []
    last = [f"--out={options.out}"] if options.out else []
    target = (chosen.until or "bundle", [*last, *([f"--args={chosen.args}"] if chosen.args else [])])
    given = {"partition": options.partition} if options.partition else {}
    submission = Submission(words, target, given | parse_options(options.slurm), configuration.slurm, options.jobs)
    jobs = submit_steps(steps, store, submission)
    for name, job in jobs.items():
        say(f"{name}: {job}, its log in {job.log}")
    return jobs


def _check(due: Sequence[Step]) -> None:
    """Check the settings of several trainings before the first begins: a word mistyped in the last one may cost hours."""
    trainings = [(step.section, step.settings) for step in due if step.section is not None]
    if len(trainings) < 2:
        return
    from vidfer.cli.train import check_settings

    for section, settings in trainings:
        check_settings(section.fit.stage, settings, section.name)


def _planned(options: PipelineOptions) -> tuple[Configuration, list[Step], Store]:
    overrides = [*options.overrides, *options.set, *(["wandb={}"] if options.wandb else [])]
    configuration = read_configuration(options.file, overrides, options.args, options.until)
    store = Store(options.store or default_store())
    return configuration, plan_steps(configuration, store, options.until), store


def print_plan(steps: Sequence[Step], store: Store, *, stderr: bool = False) -> None:
    """Print a row per step of a pipeline: its key, hit or miss, the time it takes, and why it has to be made."""
    rows = []
    for step in steps:
        if step.section is not None and not step.recipe:
            rows.append((step.label, "-", "-", "-", f"uses the weights {step.section.use}"))
            continue
        share = share_trained(step, store) if step.due else 0.0
        why = reason(step.recipe, step.nearest) if step.due else ""
        state = "hit" if not step.due else f"miss, {share:.0%} trained" if share else "miss"
        rows.append(
            (
                step.label,
                step.key[:12],
                state,
                _duration(step.seconds),
                why,
            )
        )
    due = [step for step in steps if step.due]
    known = [step.seconds for step in due if step.seconds is not None]
    last = f"{len(due)} of {len(steps)} steps have to be made" if due else f"all {len(steps)} steps are stored"
    if known:
        last += f", in about {_duration(sum(known))}"
    if len(due) > len(known):
        last += f"; {len(due) - len(known)} take a time that is not known"
    _print_rows(("step", "key", "state", "time", "what changed"), rows, last, stderr=stderr)


def print_status(steps: Sequence[Step], store: Store) -> None:
    """Print of each step of a pipeline whether it is finished, how long it took, and below it where its artifact is."""
    jobs = jobs_of([step for step in steps if step.due], store)
    for step in steps:
        if step.due:
            share = share_trained(step, store)
            job = f", {jobs[step.name]}" if step.fold is None and step.name in jobs else ""
            put(f"{step.label:<17} {f'{share:.0%} trained' if share else 'missing'}{job}")
        else:
            place = weights_of(step) if step.section is not None else step.artifact and step.artifact.path
            put(f"{step.label:<17} finished" + (f" in {_duration(step.seconds)}" if step.recipe else ", used as it is"))
            put(f"  {place}")


def _print_rows(names: Sequence[str], rows: Sequence[Sequence[str]], last: str, *, stderr: bool = False) -> None:
    """Print a table whose last column wraps, and a line below it."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for name in names[:-1]:
        table.add_column(name, no_wrap=True, justify="right" if name == "time" else "left")
    table.add_column(names[-1], overflow="fold")
    for row in rows:
        table.add_row(*map(cell, row))
    console = Console(stderr=stderr)
    console.print(table)
    if last:
        console.print(cell(last))


def _duration(seconds: float | None) -> str:
    """Write a time span in its largest units."""
    if seconds is None:
        return "?"
    minutes, hours = seconds / 60, seconds / 3600
    return f"{seconds:.0f} s" if seconds < 90 else f"{minutes:.0f} min" if minutes < 90 else f"{hours:.1f} h"


@contextmanager
def pipeline_bar(steps: Sequence[Step]) -> Iterator[Progress]:
    """Show a bar over the steps of a pipeline that have to be made, with the time left; it takes a step and its share."""
    from rich.progress import TextColumn

    due = [step for step in steps if step.due]
    usual = {step.label: step.seconds for step in due}
    expected = dict(usual)
    names = list(expected)
    begun: dict[str, float] = {}
    shares: dict[str, float] = {}
    first_seen: dict[str, tuple[float, float]] = {}  # when a step was ready, and what it had done in an earlier run
    at_work: dict[str, str] = {}
    with bars(TextColumn("{task.fields[left]}", markup=False)) as shown:
        bar = shown.add_task("", total=max(1, len(due)), left="", visible=bool(due))

        def update(name: str, share: float, doing: str = "") -> None:
            if doing != at_work.get(name, doing):  # from reading clips to training
                begun.pop(name)
                shares.pop(name)
                first_seen.pop(name, None)
                expected[name] = usual[name]
            at_work[name] = doing
            elapsed = time.monotonic() - begun.setdefault(name, time.monotonic())
            since, first = first_seen.setdefault(name, (elapsed, share)) if share else (0.0, 0.0)
            if share - first > 0.05 and share != shares.get(
                name
            ):  # it moves in steps; between them the time left falls
                expected[name] = elapsed + (elapsed - since) / (share - first) * (1 - share)
            shares[name] = share
            ahead = [expected[each] for each in names[names.index(name) + 1 :]]
            now = expected[name]
            left = (0.0 if now is None else max(0.0, now - elapsed)) + sum(each or 0.0 for each in ahead)
            open_end = now is None or None in ahead
            text = f"{_duration(left)} left" + (", more unknown" if open_end else "") if left else ""
            place = names.index(name)
            what = f"{name} ({place + 1} of {len(due)})" + (f", {doing}" if doing else "")
            shown.update(bar, completed=place + share, description=what, left=text)

        yield update
