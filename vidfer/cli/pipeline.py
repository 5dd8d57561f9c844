"""`vidfer pipeline`: train all models of a configuration, stage by stage, into a bundle."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from vidfer.cli.display import pipeline_bar, print_plan, print_status, say
from vidfer.cli.options import POSITIONAL
from vidfer.pipeline.store import Store, default_store
from vidfer.tasks.tracking import require_client
from vidfer.training.config import Configuration, read_configuration
from vidfer.training.graph import draw_chain
from vidfer.training.run import run_steps, write_bundle
from vidfer.training.steps import Step, plan_steps, weights_of
from vidfer.types import UsageError

ACTIONS: Final = {
    "run": "vidfer.cli.pipeline.run",
    "plan": "vidfer.cli.pipeline.plan",
    "status": "vidfer.cli.pipeline.status",
    "graph": "vidfer.cli.pipeline.graph",
}

StepName = Literal["denoise", "finetune", "classify", "classify_faces", "fusion", "calibrate", "evaluate", "bundle"]


@dataclass(frozen=True)
class PipelineOptions:
    """Which pipeline.

    Args:
        config: The pipeline's YAML file, such as configs/pipeline_sample.yaml.
        overrides: Values above those of the file, such as classify.model.lr=0.01.
        set: The same.
        until: Last step, with all that it needs (default: all, to the bundle).
        wandb: Show the trainings at Weights & Biases, by what the file's `wandb` says, see docs/sweeps.md.
        args: Words of LightningCLI's command line for the training that --until names, such as "--trainer.max_epochs 3".
        store: Artifacts of earlier runs (default: $VIDFER_STORE, or the user's cache).
    """

    config: Path = field(metadata=POSITIONAL)
    overrides: list[str] = field(default_factory=list, metadata=POSITIONAL | {"metavar": "KEY=VALUE"})
    set: list[str] = field(default_factory=list, metadata={"metavar": "KEY=VALUE"})
    until: StepName | None = None
    wandb: bool = False
    args: str = field(default="", metadata={"metavar": "WORDS"})
    store: Path | None = field(default=None, metadata={"metavar": "DIR"})


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
    """

    pipeline: PipelineOptions
    out: Path | None = field(default=None, metadata={"metavar": "DIR"})
    jobs: int = 1

    def __post_init__(self) -> None:
        """Check the number of jobs."""
        if self.jobs < 1:
            raise UsageError(f"--jobs has to be at least 1, not {self.jobs}")


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
    print(draw_chain(), end="")
    return 0


def run(options: RunOptions) -> int:
    """Run the pipeline, and say where its result is."""
    configuration, steps, store = _planned(options.pipeline)
    require_client(configuration.wandb is not None)
    due = [step.label for step in steps if step.due]
    if due:
        print_plan(steps, store, stderr=True)
    with pipeline_bar(steps) as progress:
        for step in run_steps(configuration, steps, store, options.jobs, progress):
            if step.label in due:
                say(f"{step.label}: finished, {time.strftime('%H:%M')}")
    last = step
    if last.name == "bundle" and last.artifact is not None:
        out = options.out or Path("bundles") / configuration.name
        write_bundle(last.artifact, out)
        say(f"bundle: {out}, its figures in {out / 'evaluation.html'}")
        print(f"vidfer analyze CLIP --models {out}")
    elif last.section is not None:
        print(weights_of(last))
    elif last.artifact is not None:
        print(last.artifact.path)
    return 0


def _planned(options: PipelineOptions) -> tuple[Configuration, list[Step], Store]:
    overrides = [*options.overrides, *options.set, *(["wandb={}"] if options.wandb else [])]
    configuration = read_configuration(options.config, overrides, options.args, options.until)
    store = Store(options.store or default_store())
    return configuration, plan_steps(configuration, store, options.until), store
