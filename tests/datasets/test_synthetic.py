import numpy as np
import pytest
from scipy.signal import lfilter

from vidfer.datasets import synthetic
from vidfer.datasets.fer2013 import read_training_images
from vidfer.datasets.photos import read_sample
from vidfer.datasets.ravdess import find_ravdess
from vidfer.datasets.synthetic import draw_face, write_faces, write_sounds
from vidfer.types import EMOTIONS, VidferError


def test_faces_of_a_class_are_nearer_than_of_others():
    rng = np.random.default_rng(0)
    means = {name: np.mean([draw_face(name, rng) for _ in range(40)], axis=0) for name in EMOTIONS}
    centred = {name: mean - mean.mean() for name, mean in means.items()}
    for name in EMOTIONS:
        fresh = np.mean([draw_face(name, rng) for _ in range(40)], axis=0)
        fresh = fresh - fresh.mean()
        distance = {other: np.square(fresh - centred[other]).mean() for other in EMOTIONS}
        assert min(distance, key=distance.__getitem__) == name


@pytest.mark.parametrize("write", [write_faces, write_sounds])
def test_a_root_that_is_a_file_is_named(write, tmp_path):
    root = tmp_path / "file"
    root.write_text("kept")
    with pytest.raises(VidferError, match="file is no folder"):
        write(root)
    assert root.read_text() == "kept"


def test_faces_are_written_once_and_without_faults(tmp_path):
    root = write_faces(tmp_path / "f", train=3, test=1)
    stamps = {path: path.stat().st_mtime_ns for path in root.rglob("*.png")}
    write_faces(root, train=99)
    assert stamps == {path: path.stat().st_mtime_ns for path in root.rglob("*.png")}
    report = read_training_images(root).report
    assert (report.found, report.kept, report.dropped, report.noted) == (21, 21, {}, {})


def test_sounds_follow_ravdess(tmp_path):
    recordings, report = find_ravdess(write_sounds(tmp_path, actors=(3, 4), seconds=0.2))
    assert len(recordings) == 2 * 8 * 2
    assert not report.dropped
    assert not report.noted
    assert {recording.target for recording in recordings} == set(range(7))


def test_the_camera_sees_scikit_images_portrait_itself():
    whole = read_sample("astronaut")
    for at in (0.0, 0.25, 0.75, 1.0):
        np.testing.assert_array_equal(synthetic._view(synthetic._portrait(), at), synthetic._view(whole, at))


def test_the_demos_voice_is_filtered_as_by_the_recursion():
    sound = np.random.default_rng(0).random(4000)
    radius, turn = 0.98, 1.9
    expected = lfilter([1 - radius], [1, -radius * turn, radius * radius], sound)
    np.testing.assert_allclose(synthetic._resonate(sound, radius, turn), expected, atol=1e-9)
