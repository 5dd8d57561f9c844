"""Measure what vidfer costs: `python -m benchmarks.bench [GROUP ...]`.

Every figure is of the whole process tree, read from the operating system: CPU seconds with all children, time by the clock, and
the peak memory of all processes together. Beside each stands its floor, what the same work costs in its barest form, and the
ratio to it, which hardly depends on the machine. See docs/performance.md.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

from .check import compare
from .figures import Measurement, Results
from .machine import describe
from .plan import Plan
from .scaling import plot
from .table import refresh, tables

BASELINE = Path(__file__).with_name("baseline.json")
PEERS = Path(__file__).with_name("peers.json")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "performance.md"

GROUPS = {
    "cold": "cold starts",
    "analyze": "analysis by size, faces and cadence, beside its floors",
    "stages": "each stage alone",
    "sound": "openSMILE's windows",
    "live": "a live stream's latency",
    "store": "putting, getting and verifying artifacts",
    "training": "training steps of the three tasks",
    "many": "two jobs beside one, and clips that are stored already",
    "paper": "the paper's preset, Inception-ResNet-v2 at 299 px",
    "scaling": "how cost grows with frames and with clips",
    "memory": "peak memory by the clip's length",
    "engines": "what an engine adds to an item, by this machine's processes and by Ray",
    "manifest": "rows of a manifest whose clips are in the store",
    "s3": "requests of a store on S3",
    "seconds": "each stage's cost and bytes for a second of video, by size and faces: the figures of docs/scaling.md",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the groups and print their tables; return 1 if `--check` finds that something became slower."""
    options = _parse(argv)
    groups = options.groups or list(GROUPS)
    if options.page:
        baseline = Results.read(BASELINE)
        plot([each for each in baseline.measurements if each.group == "scaling"])
        PAGE.write_text(refresh(PAGE.read_text(encoding="utf-8"), baseline, Results.read(PEERS)), encoding="utf-8")
        return 0
    with tempfile.TemporaryDirectory(prefix="vidfer-bench-") as scratch:
        plan = Plan(Path(scratch), options.quick or options.check, options.long, options.clip)
        found = Results(describe(), list(_measured(groups, plan)))
        verdict = compare(Results.read(BASELINE), found) if options.check else None
        if verdict is not None and verdict.slower:
            again = sorted({each.measurement.group for each in verdict.slower})
            print(f"measuring {', '.join(again)} once more", file=sys.stderr)
            found = found.replaced(Results(found.machine, list(_measured(again, plan))))
            verdict = compare(Results.read(BASELINE), found)
    print(tables(found))
    if options.out:
        (Results.read(options.out).replaced(found) if options.out.exists() else found).write(options.out)
    if verdict is None:
        return 0
    print(verdict)
    return 1 if verdict.slower else 0


def _measured(groups: Sequence[str], plan: Plan) -> Iterator[Measurement]:
    for group in groups:
        started = time.monotonic()
        for measurement in import_module(f"{__package__}.{group}").measure(plan):
            took, started = time.monotonic() - started, time.monotonic()
            print(f"{group}: {measurement.name} ({took:.0f} s)", file=sys.stderr, flush=True)
            yield measurement


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = "; ".join(f"{name}: {about}" for name, about in GROUPS.items())
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"by default all. {known}")
    parser.add_argument("--quick", action="store_true", help="only what --check compares, in fewer rounds")
    parser.add_argument("--long", action="store_true", help="also what takes many minutes: 60 minutes of video")
    parser.add_argument("--clip", type=Path, metavar="FILE", help="analyse this clip in place of the generated ones")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write the figures; other groups' there are kept")
    parser.add_argument("--check", action="store_true", help="compare ratios with baseline.json; implies --quick")
    parser.add_argument(
        "--page",
        action="store_true",
        help="only write the tables of baseline.json and peers.json into docs/performance.md",
    )
    options = parser.parse_args(argv)
    if unknown := set(options.groups) - set(GROUPS):
        parser.error(f"there is no group {', '.join(sorted(unknown))}: there are {', '.join(GROUPS)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
