"""What `vidfer analyze` costs: CPU time per frame beyond start-up, or peak memory by length of video.

    python benchmarks/cost.py speed     # 10 s and 20 s of the demo clip, every frame
    python benchmarks/cost.py memory    # 1 and 10 minutes of 640x480, five frames a second

Every figure is of the whole process tree, read from the operating system.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from vidfer.datasets.synthetic import FPS, write_demo_clip


def analyze(clip: Path, folder: Path, *options: str) -> tuple[float, float]:
    """Analyse a clip with a fresh store.

    Returns:
        CPU seconds of the process and its children, and the peak of their resident memory together, in MB (sampled
        every 50 ms; pages that they share are counted once for each, divided by how many share them).
    """
    place = Path(tempfile.mkdtemp(dir=folder))
    command = [sys.executable, "-m", "vidfer.cli.main", "analyze", str(clip), "--store", str(place / "store")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen([*command, "--out", str(place / "out"), *options], stdout=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, sum(_memory(pid) for pid in _tree(process.pid)))
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"vidfer analyze ended with {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, peak


def _tree(root: int) -> list[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
    tree = [root]
    for pid in tree:
        tree.extend(child for child, parent in parents.items() if parent == pid)
    return tree


def _memory(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000


def speed(folder: Path) -> None:
    """Print CPU-ms a frame from clips of three lengths."""
    costs = {}
    for seconds in (0.2, 10.0, 20.0):
        clip = folder / f"{seconds}.mp4"
        write_demo_clip(clip, seconds=seconds)
        costs[seconds] = analyze(clip, folder, "--every", "1")[0]
        print(f"{seconds:5} s, {round(seconds * FPS):4} frames: {costs[seconds]:.2f} CPU-s", flush=True)
    first = 1000 * (costs[10.0] - costs[0.2]) / (9.8 * FPS)
    second = 1000 * (costs[20.0] - costs[10.0]) / (10 * FPS)
    print(f"{first:.1f} CPU-ms a frame over the first 10 s beyond start-up, {second:.1f} over the second")


def memory(folder: Path) -> None:
    """Print the peak memory for one minute and for ten."""
    peaks = {}
    for minutes in (1, 10):
        clip = folder / f"{minutes}min.mp4"
        write_demo_clip(clip, seconds=60.0 * minutes)
        cpu, peaks[minutes] = analyze(clip, folder)
        print(f"{minutes:2} min: peak {peaks[minutes]:.0f} MB, {cpu:.0f} CPU-s", flush=True)
    print(f"10 min / 1 min: {peaks[10] / peaks[1]:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "memory"))
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as scratch:
        {"speed": speed, "memory": memory}[parser.parse_args().what](Path(scratch))
