"""Face recall on drawn faces, and boxes from a run's table."""

import pytest

from benchmarks.bench.clips import Clip, boxes
from benchmarks.bench.peers import read_boxes, recall

CLIP = Clip(640, 480, 0.16, faces=3)


def test_every_face_that_is_found_counts_once():
    drawn = [boxes(CLIP, number).tolist() for number in range(CLIP.frames)]
    assert recall(CLIP, drawn) == 1.0
    assert recall(CLIP, [frame * 2 for frame in drawn]) == 1.0
    assert recall(CLIP, [frame[:1] for frame in drawn]) == pytest.approx(1 / 3)
    assert recall(CLIP, drawn[:2]) == pytest.approx(2 / CLIP.frames)
    assert recall(CLIP, [[[0.0, 0.0, 20.0, 20.0]]] * CLIP.frames) == 0.0


def test_frames_without_a_face_have_no_box(tmp_path):
    rows = ["frame,x0,y0,x1,y1", "0,1,2,3,4", "0,5,6,7,8", "1,,,,", "2,9,9,10,10"]
    (tmp_path / "frames.csv").write_text("\n".join(rows) + "\n")
    assert read_boxes(tmp_path / "frames.csv", 4) == [[[1, 2, 3, 4], [5, 6, 7, 8]], [], [[9, 9, 10, 10]], []]
