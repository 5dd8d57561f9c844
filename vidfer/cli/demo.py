"""`vidfer demo`: make a short clip and analyse it."""

import argparse
from pathlib import Path


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the verb."""
    parser = verbs.add_parser("demo", help="make a short clip of a bundled portrait and analyse it")
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="default: demo")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make the clip unless it is there, and hand it to `vidfer analyze`."""
    from vidfer.cli.main import main
    from vidfer.datasets.demo_clip import write_demo_clip

    clip = args.out / "astronaut.mp4"
    if not clip.exists():
        print(f"Making {clip}: 10 s of scikit-image's astronaut portrait, with a synthesised voice ...", flush=True)
        write_demo_clip(clip)
    results = args.out / "results"
    status = main(["analyze", str(clip), "--out", str(results), "--store", str(args.out / "store")])
    for path in sorted((results / clip.name).glob("*")):
        print(f"  {path}")
    return status
