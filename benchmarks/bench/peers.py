"""Other tools on the same clip, in turns: `python -m benchmarks.bench.peers`; `make bench-peers` makes their environment first.

Every frame of a generated clip of 640x480 with one face is looked at. CPU time is of whole processes, loading included, over the
number of frames; face recall is the share of frames in which the middle of a found face lies in the face that was drawn.
"""

import argparse
import csv
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from .clips import FPS, Clip, boxes
from .cost import ROOT, Cost, run, vidfer
from .figures import Bar, Figure, Measurement, Results
from .machine import describe
from .table import tables

PYTHON: Final = ROOT / ".venv-peers" / "bin" / "python"
DETECTORS: Final = ("haar", "mtcnn")

NOT_RUN: Final = {
    "py-feat": "its weights are not in the package; it downloads them at the first use",
    "deepface": "its weights are not in the package; it downloads them at the first use",
    "EmotiEffLib": "its weights are not in the package; it downloads them at the first use, and finds no faces itself",
}
"""Tools that were not measured, with the reason."""

Boxes = Sequence[Sequence[Sequence[float]]]


def main() -> int:
    """Measure, print the table, and write JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bench.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--frames", type=int, default=1000, help="frames of the clip (default: 1000)")
    parser.add_argument("--rounds", type=int, default=2, help="rounds of each tool (default: 2)")
    parser.add_argument(
        "--python", type=Path, default=PYTHON, help="fer's interpreter (default: .venv-peers/bin/python)"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "peers.json", metavar="FILE.json")
    options = parser.parse_args()
    if not options.python.exists():
        print(f"there is no {options.python}: make bench-peers makes it", file=sys.stderr)
        return 2
    found = Results(describe(), measure(Clip(seconds=options.frames / FPS), options.rounds, options.python))
    print(tables(found))
    for name, reason in NOT_RUN.items():
        print(f"{name}: not run: {reason}")
    found.write(options.out)
    return 0


def measure(clip: Clip, rounds: int, python: Path) -> list[Measurement]:
    """Let vidfer and fer with each of its detectors take turns."""
    done: dict[str, list[tuple[Cost, Boxes, float]]] = {name: [] for name in ("vidfer", *DETECTORS)}
    for _ in range(rounds):
        for detector in DETECTORS:
            done["vidfer"].append(_vidfer(clip))
            done[detector].append(_fer(clip, detector, python))
    ratios: dict[str, Mapping[str, Figure]] = {}
    for at, detector in enumerate(DETECTORS):
        before = [cost.cpu for cost, _, _ in done["vidfer"][at :: len(DETECTORS)]]
        pairs = [ours / cost.cpu for ours, (cost, _, _) in zip(before, done[detector], strict=True)]
        ratios[detector] = {"vidfer CPU / fer CPU": Figure.of(pairs)}
    least = min(recall(clip, found) for _, found, _ in done["haar"])
    bars = {
        "vidfer": [Bar("source frames/s", 120, least=True), Bar("face recall", least, least=True)],
        "haar": [Bar("vidfer CPU / fer CPU", 0.1)],
    }
    names = {"vidfer": "vidfer analyze --every 1", "haar": "fer 25.10.3, Haar", "mtcnn": "fer 25.10.3, MTCNN"}
    return [_row(name, clip, done[tool], ratios.get(tool, {}), bars.get(tool, [])) for tool, name in names.items()]


def _row(
    name: str, clip: Clip, done: Sequence[tuple[Cost, Boxes, float]], ratios: Mapping[str, Figure], bars: Sequence[Bar]
) -> Measurement:
    figures = {
        "CPU ms a frame": Figure.of([1000 * cost.cpu / clip.frames for cost, _, _ in done]),
        "source frames/s": Figure.of([clip.frames / cost.wall for cost, _, _ in done]),
        "face recall": Figure.of([recall(clip, found) for _, found, _ in done]),
    }
    if any(loading for _, _, loading in done):
        figures["loading CPU s"] = Figure.of([loading for _, _, loading in done])
    return Measurement("peers", name, figures, {}, ratios, bars, {"frames": clip.frames})


def _vidfer(clip: Clip) -> tuple[Cost, Boxes, float]:
    with tempfile.TemporaryDirectory() as folder:
        places = ("--store", f"{folder}/store", "--out", f"{folder}/out")
        cost = run(vidfer("analyze", clip.path(), "--every", "1", *places))
        return cost, read_boxes(Path(folder) / "out" / "frames.csv", clip.frames), 0.0


def read_boxes(table: Path, frames: int) -> Boxes:
    """Return the boxes of each frame from the table of a run over one clip."""
    found: list[list[list[float]]] = [[] for _ in range(frames)]
    with table.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            if row["x0"]:
                found[int(row["frame"])].append([float(row[edge]) for edge in ("x0", "y0", "x1", "y1")])
    return found


def _fer(clip: Clip, detector: str, python: Path) -> tuple[Cost, Boxes, float]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        script = Path(__file__).with_name("peer_fer.py")
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": ""}
        cost = run([python, script, clip.path(), detector, str(clip.frames), out], env=quiet)
        found: dict[str, Any] = json.loads(out.read_text())
        return cost, found["boxes"], found["loading"]


def recall(clip: Clip, found: Boxes) -> float:
    """Return the share of drawn faces in whose box the middle of a found one lies."""
    hits = 0
    for number in range(clip.frames):
        here = np.array(found[number] if number < len(found) else [], float).reshape(-1, 4)
        middle = (here[:, :2] + here[:, 2:]) / 2
        for box in boxes(clip, number):
            hits += bool(((middle > box[:2]) & (middle < box[2:])).all(1).any())
    return hits / (clip.frames * clip.faces)


if __name__ == "__main__":
    sys.exit(main())
