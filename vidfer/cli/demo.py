"""`vidfer demo`: make a short clip and analyse it."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class DemoOptions:
    """Make a short clip of a bundled portrait and analyse it.

    Args:
        out: Where the clip and its results go.
    """

    out: Path = field(default=Path("demo"), metadata={"metavar": "DIR"})


def run(options: DemoOptions) -> int:
    """Make the clip unless it is there, and hand it to `vidfer analyze`."""
    from vidfer.cli.main import main
    from vidfer.datasets.demo_clip import write_demo_clip

    clip = options.out / "astronaut.mp4"
    if not clip.exists():
        print(f"Making {clip}: 10 s of scikit-image's astronaut portrait, with a synthesised voice ...", flush=True)
        write_demo_clip(clip)
    results = options.out / "results"
    status = main(["analyze", str(clip), "--out", str(results), "--store", str(options.out / "store")])
    for path in sorted((results / clip.name).glob("*")):
        print(f"  {path}")
    return status
