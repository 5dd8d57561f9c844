"""What stage `faces` says of the quality of faces; finding them is tested in `tests/media/test_face_stream.py`."""

from dataclasses import replace

import numpy as np
import pytest
from skimage import data

from tests.stages.made import PROBE, probed
from vidfer.media.align import align
from vidfer.media.decode import Frame
from vidfer.media.face_stream import Face, FaceFrame
from vidfer.media.quality import judge
from vidfer.results.pictures import decode
from vidfer.stages.faces import FacesStage
from vidfer.types import ClipError, Status, UsageError

POINTS = np.array([[201, 108], [242, 107], [222, 130], [205, 148], [240, 148]], float)
BOX = np.array([178.0, 60, 262, 172])


def frame_of(image, index=0):
    crop = align(image, POINTS)
    face = Face(0, BOX, POINTS, 1.0, True, crop, judge(image, crop, BOX, POINTS))
    return FaceFrame(index, index / 5, [face], (512, 512), float(np.median(image)), cut=index == 2)


@pytest.fixture
def found(ran, store, monkeypatch):
    """Run the stage on frames in which one face was found; return its artifact."""

    def run(images, error=None):
        def face_frames(_stage, _clip, _finder, _poster):
            yield from (frame_of(image, index) for index, image in enumerate(images))
            if error:
                raise error

        monkeypatch.setattr(FacesStage, "_face_frames", face_frames)
        return ran(FacesStage(), {"probe": probed(store, about=replace(PROBE, video=None))})

    return run


def black(image):
    return (image * 0.002).astype(np.uint8)


def test_good_faces_have_no_complaint(found):
    artifact = found([data.astronaut()] * 3)
    table = artifact.table("faces.parquet")
    assert (artifact.status, artifact.message) == (Status.OK, "")
    assert {name: values.tolist() for name, values in artifact.table("times.parquet").items()} == {
        **{"frame": [0, 1, 2], "time_s": [0.0, 0.2, 0.4], "width": [512] * 3, "height": [512] * 3},
        **{"brightness": [float(np.median(data.astronaut()))] * 3, "cut": [False, False, True]},
    }
    assert artifact.meta == {"frames": 3, "faces": 3, "unusable": 0, "turned": 0}
    assert table["flaws"].tolist() == ["", "", ""]
    assert (table["weight"] > 0.6).all()
    assert table["eyes_covered"].max() < 0.3
    assert table["mouth_covered"].max() < 0.3


@pytest.mark.parametrize(("bad", "good"), [(9, 1), (8, 2)])
def test_a_clip_of_black_faces_says_so_and_stays_ok(found, bad, good):
    image = data.astronaut()
    artifact = found([black(image)] * bad + [image] * good)
    assert artifact.status is Status.OK
    assert artifact.meta["unusable"] == bad
    assert ("face images are hardly usable" in artifact.message) is (bad == 9)


def test_a_broken_clip_keeps_its_message_beside_the_complaint(found):
    artifact = found([black(data.astronaut())] * 4, ClipError(Status.PARTIAL, "the file breaks off"))
    assert artifact.status is Status.PARTIAL
    assert artifact.message.startswith("the file breaks off; 100% of the 4 face images are hardly usable")


def test_a_folder_of_numbered_pictures_is_analysed_at_its_rate(tmp_path, monkeypatch):
    from PIL import Image

    from vidfer import analyze

    (tmp_path / "take").mkdir()
    portrait = Image.fromarray(data.astronaut()).resize((256, 256))
    for number in (9, 10, 12):
        portrait.save(tmp_path / "take" / f"shot{number}.png")
    result = analyze(tmp_path / "take", picture_fps=10, fps=10, audio_model="none", store=tmp_path / "store")
    assert result.status == "ok"
    assert result.frames["time_s"].tolist() == pytest.approx([0, 0.1, 0.3])
    slower = analyze(tmp_path / "take", picture_fps=5, fps=10, audio_model="none", store=tmp_path / "store")
    assert slower.frames["time_s"].tolist() == pytest.approx([0, 0.2, 0.6])
    with pytest.raises(UsageError, match="picture_fps"):
        analyze(tmp_path / "take", store=tmp_path / "store")


def test_times_are_kept_where_no_face_was_found(ran, store, monkeypatch):
    def face_frames(_stage, _clip, _finder, _poster):
        yield from (FaceFrame(5 * index, index / 5, [], (64, 48), 3.0) for index in range(4))

    monkeypatch.setattr(FacesStage, "_face_frames", face_frames)
    artifact = ran(FacesStage(), {"probe": probed(store)})
    assert (artifact.status, artifact.names("faces")) == (Status.NO_FACE, [])
    times = artifact.table("times.parquet")
    assert (times["frame"].tolist(), set(times["brightness"]), set(times["width"])) == ([0, 5, 10, 15], {3.0}, {64})


def test_a_clip_that_cannot_be_opened_is_refused_for_the_same_reason(ran, store):
    with pytest.raises(ClipError, match="no frame at all") as found:
        ran(FacesStage(), {"probe": probed(store, Status.CORRUPT, "no frame at all")})
    assert found.value.status is Status.CORRUPT


@pytest.mark.parametrize(("faces_at", "chosen"), [((2, 3), 2), ((), 0), ((0,), 0)])
def test_the_poster_is_the_first_frame_with_a_face(ran, store, monkeypatch, faces_at, chosen):
    images = [np.full((900, 1600, 3), 40 * (index + 1), np.uint8) for index in range(4)]

    found = frame_of(data.astronaut()).faces

    def follow(_stage, frames, _finder):
        for frame in frames:
            faces = found if frame.index in faces_at else []
            yield FaceFrame(frame.index, frame.pts, faces, (1600, 900), 3.0)

    frames = (Frame(index, index / 5, image) for index, image in enumerate(images))
    monkeypatch.setattr("vidfer.media.decode.read_frames", lambda *_, **__: frames)
    monkeypatch.setattr(FacesStage, "follow", follow)
    artifact = ran(FacesStage(), {"probe": probed(store)})
    shown = decode((artifact.path / "poster.jpg").read_bytes())
    assert shown.shape == (360, 640, 3)
    assert abs(shown.mean() - 40 * (chosen + 1)) < 2


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        ([90.0] * 3, "no face was found in the 3 frames looked at"),
        ([3.0] * 3, "no face was found in the 3 frames looked at; it is too dark for one"),
        ([90.0, 19.9, 20.0], "no face was found in the 3 frames looked at; 1 of them is too dark"),
        ([3.0], "no face was found in the 1 frame looked at; it is too dark for one"),
    ],
)
def test_a_clip_that_is_too_dark_is_called_so(ran, store, monkeypatch, levels, words):
    def face_frames(_stage, _clip, _finder, _poster):
        yield from (FaceFrame(index, index / 5, [], (64, 48), level) for index, level in enumerate(levels))

    monkeypatch.setattr(FacesStage, "_face_frames", face_frames)
    artifact = ran(FacesStage(), {"probe": probed(store)})
    assert (artifact.status, artifact.message.split("; 0 of them")[0]) == (Status.NO_FACE, words)
