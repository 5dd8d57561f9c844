"""Print who displays what, frame by frame, and how long each answer took.

python examples/live.py 0           # camera 0, until Ctrl-C
python examples/live.py clip.mp4    # every frame of a clip
"""

import sys
from contextlib import suppress
from statistics import median, quantiles

import vidfer
from vidfer.media.camera import CameraSource
from vidfer.media.decode import read_frames


def main(source: str) -> None:
    """Stream a camera or a clip."""
    analyzer, latencies = vidfer.Analyzer().warm(), []
    frames = CameraSource(source) if source.isdigit() else read_frames(source, fps=None)
    with suppress(KeyboardInterrupt):
        for live in analyzer.stream(frames):
            shown = ", ".join(f"person {person.person} {person.smooth_expression}" for person in live.people)
            latencies.append(1000 * live.latency_s)
            print(f"{live.time_s:8.2f} s {latencies[-1]:7.1f} ms  {shown or 'nobody'}")
    if len(latencies) > 1:
        slow = quantiles(latencies, n=20)[-1]
        print(f"latency of {len(latencies)} frames: median {median(latencies):.1f} ms, 95th percentile {slow:.1f} ms")


if __name__ == "__main__":
    main(sys.argv[1])
