"""Print who displays what, frame by frame, and how long each answer took: `python examples/live.py CLIP`."""

import sys
from statistics import median, quantiles

import vidfer
from vidfer.media.decode import read_frames


def main(path: str) -> None:
    """Stream every frame of a clip as if it came from a camera."""
    latencies = []
    for live in vidfer.Analyzer().warm().stream(read_frames(path, fps=None)):
        shown = ", ".join(f"person {person.person} {person.smooth_expression}" for person in live.people)
        latencies.append(1000 * live.latency_s)
        print(f"{live.time_s:8.2f} s {latencies[-1]:7.1f} ms  {shown or 'nobody'}")
    slow = quantiles(latencies, n=20)[-1]
    print(f"latency of {len(latencies)} frames: median {median(latencies):.1f} ms, 95th percentile {slow:.1f} ms")


if __name__ == "__main__":
    main(sys.argv[1])
