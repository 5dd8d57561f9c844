"""`vidfer demo`: make a short clip and analyse it."""

from dataclasses import dataclass, field
from pathlib import Path

from vidfer.cli.analyze import AnalyzeOptions, WorkOptions
from vidfer.cli.analyze import run as analyze
from vidfer.pipeline.atomic import results_folder


@dataclass(frozen=True)
class DemoOptions:
    """Make a short clip of a bundled portrait and analyse it.

    Args:
        out: Where the clip and its results go.
    """

    out: Path = field(default=Path("demo"), metadata={"metavar": "DIR"})


def run(options: DemoOptions) -> int:
    """Make the clip unless it is there, and analyse it as `vidfer analyze` does."""
    from vidfer.datasets.synthetic import write_demo_clip

    clip, results = options.out / "astronaut.mp4", options.out / "results"
    if not clip.exists():
        print(f"Making {clip}: 10 s of scikit-image's astronaut portrait, with a synthesised voice ...", flush=True)
        with results_folder(options.out):
            write_demo_clip(clip)
    status = analyze(AnalyzeOptions([clip], results, work=WorkOptions(store=options.out / "store")))
    for path in sorted((results / clip.name).glob("*")):
        print(f"  {path}")
    return status
