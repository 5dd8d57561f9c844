"""Wherever a face may be seen, nobody can be known unless that was asked for; and nothing of a file's own metadata goes along."""

import base64
import io
import re
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

import vidfer
from tests.in_process import in_process
from vidfer.app.work import Analysis, Task
from vidfer.cli.main import main
from vidfer.results.pictures import Pictures, blurred, decode, encode_poster
from vidfer.results.tables import TableOptions
from vidfer.stages.chain import ChainOptions

SECRET = "51.5N 0.1W, Ann's phone"
DATA = re.compile(rb"data:image/[a-z]+;base64,([A-Za-z0-9+/=]+)")


@pytest.fixture(scope="module")
def source(tmp_path_factory, portrait):
    """A photograph that one face fills, with a place, a maker and a small copy of itself in its metadata."""
    folder = tmp_path_factory.mktemp("hidden")
    face, small = Image.fromarray(portrait[:260, 100:340]), io.BytesIO()
    exif = face.getexif()
    exif[0x013B] = exif[0x010E] = exif[0x010F] = SECRET
    face.resize((80, 80)).save(small, "JPEG")
    face.save(folder / "a.jpg", exif=exif, comment=SECRET, icc_profile=small.getvalue(), quality=95)
    assert SECRET.encode() in (folder / "a.jpg").read_bytes()
    return folder / "a.jpg"


@pytest.fixture(scope="module")
def written(source):
    """Folders of results as the command, Python and the app write them, by who wrote and whether faces are shown."""
    folder, found = source.parent, {}
    stored = ("--store", str(folder / "store"), "--jobs", "1")
    for shown in (False, True):
        more = ("--show-faces",) if shown else ()
        assert main(["analyze", str(source), "--out", str(folder / f"command-{shown}"), *stored, *more]) == 0
        found["command", shown] = folder / f"command-{shown}"
        result = vidfer.Analyzer(store=folder / "store").analyze(source)
        result.save(folder / f"python-{shown}" / "a.jpg", show_faces=shown)
        found["python", shown] = folder / f"python-{shown}"
        results = folder / f"app-{shown}" / "a.jpg"
        task = Task(
            source, "a.jpg", results, folder / "store", ChainOptions(), TableOptions(), show_faces=shown, played=False
        )
        Analysis(ChainOptions())(task, lambda *_: None)
        found["app", shown] = folder / f"app-{shown}"
    return found


def pictures_in(folder):
    """Return every picture in a folder, RGB: files, and those inside pages."""
    found = []
    for path in folder.rglob("*"):
        if path.suffix in (".jpg", ".png") and path.is_file():
            found.append(path.read_bytes())
        if path.suffix == ".html":
            found += [base64.b64decode(each) for each in DATA.findall(path.read_bytes())]
    return [decode(each) for each in found]


def faces_in(detector, images):
    """Count pictures in which a face is found, at their own size and twice as large, with some room around."""
    found = 0
    for image in images:
        padded = cv2.copyMakeBorder(image, *[max(image.shape[:2]) // 4] * 4, cv2.BORDER_REPLICATE)
        views = [padded, cv2.resize(padded, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)]
        found += any((each.scores > 0.5).any() for view in views for each in detector.detect([view]))
    return found


@pytest.mark.parametrize("who", ["command", "python", "app"])
def test_no_face_is_found_in_any_picture_unless_faces_are_asked_for(written, detector, who):
    hidden, shown = (pictures_in(written[who, each]) for each in (False, True))
    assert len(hidden) == len(shown) >= 6  # face, strip and frame, each as a file and in the report
    assert faces_in(detector, hidden) == 0
    assert faces_in(detector, shown) >= 4


@pytest.mark.parametrize("who", ["command", "python", "app"])
def test_nothing_of_the_files_own_metadata_goes_along(written, who):
    for shown in (False, True):
        for path in written[who, shown].rglob("*"):
            if path.is_file():
                assert SECRET.encode() not in path.read_bytes(), path
                if path.suffix == ".jpg":
                    assert not Image.open(path).getexif()
                    assert "icc_profile" not in Image.open(path).info


def test_what_is_left_of_a_picture_is_sixteen_colours(portrait):
    """Two faces with the same means of 4 x 4 blocks are the same picture, whatever else they show."""
    face = portrait[:160, 120:280]
    flat = cv2.resize(
        cv2.resize(face, (4, 4), interpolation=cv2.INTER_AREA), (160, 160), interpolation=cv2.INTER_NEAREST
    )
    np.testing.assert_array_equal(blurred(face), blurred(flat))


def test_a_face_that_fills_the_frame_is_no_better_seen_there(portrait):
    """The frame has no more blocks than a face has."""
    frame = portrait[20:200, 140:300]
    assert frame.shape[0] > 100
    hidden = Pictures(poster=encode_poster(frame)).hidden().poster
    expected = blurred(decode(encode_poster(frame))).astype(int)
    assert np.abs(decode(hidden).astype(int) - expected).mean() < 3


def test_an_overlay_has_nothing_of_the_clips_metadata(tmp_path, portrait, monkeypatch):
    """Neither its place nor its chapters nor its cover; what is noted is vidfer's own."""
    from vidfer.overlay import write
    from vidfer.overlay.child import handle

    with av.open(str(tmp_path / "a.mp4"), "w", options={"movflags": "use_metadata_tags"}) as container:
        container.metadata.update(title=SECRET, location=SECRET, artist=SECRET)
        stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 240, 240, "yuv420p"
        stream.metadata["handler_name"] = SECRET
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(portrait[:240, 100:340]), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert SECRET.encode() in (tmp_path / "a.mp4").read_bytes()
    monkeypatch.setattr(write, "Child", in_process(handle))
    result = vidfer.Analyzer(store=tmp_path / "store").analyze(tmp_path / "a.mp4")
    result.save(tmp_path / "run", overlay=True, blur_faces="all")
    assert Path(tmp_path / "run" / "overlay.mp4").is_file()
    for path in (tmp_path / "run").rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes(), path
