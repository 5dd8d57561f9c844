import numpy as np
import pytest
import torch

from vidfer.datamodules.features import EDGE, FeatureReader, Sample, _landmarks, _spread, collate_clips, gray_faces
from vidfer.datasets.vectors import VectorReader
from vidfer.media.align import TEMPLATE
from vidfer.stages.faces import LANDMARKS
from vidfer.types import ClipError


def sample(frames, windows, target=0):
    features = {"frames": torch.randn(frames, 6), "sound": torch.randn(windows, 9)}
    return Sample("x", None, target, features)


def test_clips_are_padded_and_the_masks_say_where():
    samples = [sample(2, 1, 3), sample(0, 3, 5), sample(4, 0)]
    batch = collate_clips(samples)
    assert batch["frame_mask"].sum(1).tolist() == [2, 0, 4]
    assert batch["sound_mask"].sum(1).tolist() == [1, 3, 0]
    assert batch["target"].tolist() == [3, 5, 0]
    for row, each in enumerate(samples):
        assert torch.equal(batch["frames"][row][batch["frame_mask"][row]], each.features["frames"])
        assert torch.equal(batch["sound"][row][batch["sound_mask"][row]], each.features["sound"])
    assert not batch["frames"][~batch["frame_mask"]].any()


def test_faces_are_standardised_one_by_one():
    faces = torch.randint(0, 256, (2, EDGE, EDGE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    features = {"image": faces, "landmarks": torch.zeros(2, 5, 2)}
    dark = {"image": (faces.float() * 0.5).to(torch.uint8), "landmarks": torch.zeros(2, 5, 2)}
    batch = collate_clips([Sample("a", None, 0, features), Sample("b", None, 0, dark)])
    assert batch["image"].shape == (2, 2, 1, EDGE, EDGE)
    torch.testing.assert_close(batch["image"][0], batch["image"][1], atol=0.05, rtol=0)  # half the light, the same face


def test_gray_faces_are_the_centre_of_the_crop_in_fer2013s_size():
    crops = np.zeros((1, 160, 160, 3), np.uint8)
    crops[:, 16:144, 16:144] = (10, 200, 50)
    gray = gray_faces(crops)
    assert gray.shape == (1, EDGE, EDGE)
    assert (gray == round(0.299 * 10 + 0.587 * 200 + 0.114 * 50)).all()


def test_the_person_who_is_seen_most_evenly_over_time():
    track = np.array([0, 1, 1, 1, 0, 1, 1, 1, 1, 0])
    assert _spread(track, 4).tolist() == [1, 3, 6, 8]
    assert _spread(track, 99).tolist() == [1, 2, 3, 5, 6, 7, 8]


def test_landmarks_of_a_face_of_any_size_and_place_fall_on_the_template():
    points = np.array(TEMPLATE) * 300 + (40, 70)
    table = {
        f"{name}_{axis}": points[[at], place] for at, name in enumerate(LANDMARKS) for place, axis in enumerate("xy")
    }
    np.testing.assert_allclose(_landmarks(table, np.array([0]))[0], TEMPLATE, atol=1e-6)


def test_a_real_clip_gives_all_that_is_asked_for(data_dir, tmp_path):
    clip = data_dir / "ravdess_av" / "clips_from_frames" / "01-01-03-01-01-01-01.mp4"
    reader = FeatureReader(("frames", "image", "sound"), VectorReader(str(tmp_path)), str(tmp_path), max_frames=5)
    found, faults = reader(clip)
    assert faults == []
    assert found["frames"].shape == (5, 128)
    assert found["image"].shape == (5, 48, 48)
    assert found["sound"].shape[1] == 1582
    assert (found["landmarks"] - torch.tensor(TEMPLATE)).abs().max() < 0.1


def test_a_sound_file_has_sound_and_no_faces(sounds_root, vectors_store):
    path = next(iter(sorted(sounds_root.rglob("*.wav"))))
    sound = VectorReader(vectors_store, gate=False)
    found, faults = FeatureReader(("frames", "sound"), sound, vectors_store)(path)
    assert (set(found), [fault.status for fault in faults]) == ({"sound"}, ["no_video"])
    with pytest.raises(ClipError) as told:
        FeatureReader(("frames",), sound, vectors_store)(path)
    assert told.value.status == "no_video"
