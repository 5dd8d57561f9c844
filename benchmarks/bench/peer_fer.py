"""Runs fer over a clip, in its own environment: `python peer_fer.py CLIP haar|mtcnn FRAMES OUT.json`.

It imports nothing of vidfer. Boxes are `x0, y0, x1, y1` in px for each frame; `loading` is CPU seconds until the first frame.
"""

import json
import sys
import time
from pathlib import Path


def main() -> None:
    """Read frames by OpenCV, as fer's own examples do, and detect faces and emotions in each."""
    clip, detector, frames, out = sys.argv[1:]
    import cv2
    from fer.fer import FER

    model = FER(mtcnn=detector == "mtcnn")
    loading, started = time.process_time(), time.perf_counter()
    capture, boxes = cv2.VideoCapture(clip), list[list[list[float]]]()
    while len(boxes) < int(frames):
        there, image = capture.read()
        if not there:
            break
        found = model.detect_emotions(image)
        boxes.append([_corners(*each["box"]) for each in found])
    spent, wall = time.process_time() - loading, time.perf_counter() - started
    Path(out).write_text(json.dumps({"loading": loading, "spent": spent, "wall": wall, "boxes": boxes}))


def _corners(left: float, top: float, width: float, height: float) -> list[float]:
    return [float(left), float(top), float(left + width), float(top + height)]


if __name__ == "__main__":
    main()
