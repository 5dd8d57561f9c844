import time

import pytest

from vidfer.datamodules.clips import ClipDataModule
from vidfer.datamodules.features import FeatureReader
from vidfer.datamodules.paired import SamplePairedDataModule
from vidfer.paper import feature_times
from vidfer.paper.feature_times import feature_seconds
from vidfer.types import ClipError, Status


@pytest.fixture
def module(sounds_root, tmp_path):
    module = ClipDataModule("ravdess", str(sounds_root), train_people="1-2", test_people="3", store=str(tmp_path))
    module.notify = lambda _line: None
    return module


def test_the_time_of_a_clip_leaves_out_what_happens_once(module, monkeypatch):
    """A reader that takes a known time per clip, and more at its first."""
    spent, read = [0.0], set()

    def work(reader, path):
        (name,) = reader.reads
        spent[0] += {"sound": 3.0, "image": 0.5, "frames": 0.75}[name] + (100 if name not in read else 0)
        read.add(name)
        if path.name.endswith("1.wav"):
            raise ClipError(Status.NO_FACE, "none")

    monkeypatch.setattr(FeatureReader, "__call__", work)
    monkeypatch.setattr(feature_times.time, "process_time", lambda: spent[0])
    monkeypatch.setattr(feature_times, "_children", lambda: 0.0)
    assert feature_seconds(module, "0" * 64) == {"sound": 3.0, "image": 0.5, "frames": 0.75, "n": 16}


def test_it_is_measured_once_for_a_data_set(module, monkeypatch):
    monkeypatch.setattr(FeatureReader, "__call__", lambda *_: None)
    first = feature_seconds(module, "0" * 64)
    monkeypatch.setattr(feature_times, "_measure", lambda *_: {"n": -1})
    assert feature_seconds(module, "0" * 64) == first
    assert feature_seconds(module, "1" * 64) == {"n": -1}


def test_time_in_child_processes_counts(module, tmp_path):
    """openSMILE works in a child, of which this process's own clock sees nothing."""
    own = []

    def work():
        start = time.process_time()
        FeatureReader(module.features, ["sound"])(module.splits()["test"][0].path)
        own.append(time.process_time() - start)

    module.splits()
    assert feature_times._spent(work) > own[0] + 0.1  # openSMILE's import alone takes longer
    assert list(tmp_path.glob("audio/*/*"))


def test_faces_of_paired_clips_cost_their_embedding_alone(sounds_root, faces_root, tmp_path):
    root = tmp_path / "sample"
    root.mkdir()
    (root / "sounds").symlink_to(sounds_root)
    (root / "faces").symlink_to(faces_root)
    module = SamplePairedDataModule(str(root), "1-2", "3", store=str(tmp_path / "store"), reads=["image"])
    module.notify = lambda _line: None
    found = feature_seconds(module, "0" * 64)
    assert found["image"] == 0
    assert 0 < found["frames"] < 2
    assert found["n"] == 16
