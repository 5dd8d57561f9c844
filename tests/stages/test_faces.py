"""What stage `faces` says of the quality of faces; finding them is tested in `tests/media/test_face_stream.py`."""

from types import SimpleNamespace

import numpy as np
import pytest
from skimage import data

from vidfer.media import decode
from vidfer.media.align import align
from vidfer.media.face_stream import Face, FaceFrame
from vidfer.media.quality import judge
from vidfer.stages.faces import FacesStage
from vidfer.types import ClipError, Status

POINTS = np.array([[201, 108], [242, 107], [222, 130], [205, 148], [240, 148]], float)
BOX = np.array([178.0, 60, 262, 172])


def frame_of(image, index=0):
    crop = align(image, POINTS)
    return FaceFrame(index, index / 5, [Face(0, BOX, POINTS, 1.0, True, crop, judge(image, crop, BOX, POINTS))])


@pytest.fixture
def found(ran, monkeypatch):
    """Run the stage on frames in which one face was found; return its artifact."""

    def run(images, error=None):
        def face_frames(_stage, _clip, _finder):
            yield from (frame_of(image, index) for index, image in enumerate(images))
            if error:
                raise error

        monkeypatch.setattr(decode, "probe", lambda *_, **__: SimpleNamespace(video=None, duration=None))
        monkeypatch.setattr(FacesStage, "_face_frames", face_frames)
        return ran(FacesStage(), {})

    return run


def black(image):
    return (image * 0.002).astype(np.uint8)


def test_good_faces_have_no_complaint(found):
    artifact = found([data.astronaut()] * 3)
    table = artifact.table("faces.parquet")
    assert (artifact.status, artifact.message) == (Status.OK, "")
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
