import numpy as np
import pytest

from vidfer.datasets.fer2013 import LabelledImages
from vidfer.datasets.paired import Pairing, distort, pair_faces
from vidfer.datasets.report import PreparationReport
from vidfer.types import EMOTIONS, VidferError

NEUTRAL = EMOTIONS.index("neutral")


@pytest.fixture
def pool():
    """Flat images whose brightness says which class and which image they are, so that no distortion changes them."""
    target = np.arange(14) % 7
    image = np.broadcast_to((10 * target + np.arange(14) // 7).astype(np.uint8)[:, None, None], (14, 48, 48))
    return LabelledImages(
        image, target, [str(i) for i in range(14)], [str(i) for i in range(14)], PreparationReport("", 14, 14)
    )


def test_every_frame_shows_one_face_of_the_class(pool):
    target = [i % 7 for i in range(70)]
    clips = pair_faces([f"r{i}" for i in range(70)], target, pool, Pairing(frames=3))
    shown = clips[:, :, 0, 0]
    assert clips.shape == (70, 3, 48, 48)
    assert (shown // 10 == np.array(target)[:, None]).all()
    assert (shown == shown[:, :1]).all()
    assert {*shown[:, 0].tolist()} == {10 * label + image for label in range(7) for image in (0, 1)}


def test_the_face_depends_on_the_name_and_the_seed_alone(pool):
    names, target = [f"r{i}" for i in range(40)], [i % 7 for i in range(40)]
    clips = pair_faces(names, target, pool, Pairing())
    some = pair_faces(names[20:], target[20:], pool, Pairing())
    np.testing.assert_array_equal(clips[20:], some)
    assert not np.array_equal(clips, pair_faces(names, target, pool, Pairing(seed=1)))


def test_neutral_frames_come_before_or_after(pool):
    clips = pair_faces([f"r{i}" for i in range(200)], [3] * 200, pool, Pairing(frames=8, neutral_share=0.75))
    expressive = clips[:, :, 0, 0] // 10 == 3
    neutral = clips[:, :, 0, 0] // 10 == NEUTRAL
    assert (expressive | neutral).all()
    assert (expressive.sum(1) >= 2).all()
    assert (np.diff(expressive.astype(int), axis=1) != 0).sum(1).max() == 1
    assert 0.15 < neutral.mean() < 0.6
    assert neutral[:, 0].any()
    assert neutral[:, -1].any()


def test_a_class_without_images_is_named(pool):
    kept = pool.subset(pool.target != 2, pool.report)
    with pytest.raises(VidferError, match="no face image shows fear"):
        pair_faces(["a"], [2], kept, Pairing())


@pytest.mark.parametrize("options", [{"frames": 0}, {"neutral_share": 1.0}, {"neutral_share": -0.1}])
def test_senseless_pairings_are_refused(options):
    with pytest.raises(VidferError, match="a paired clip needs"):
        Pairing(**options)


def test_distortion_moves_the_face_and_leaves_it_one():
    image = np.zeros((48, 48), np.uint8)
    image[16:32, 16:32] = 200
    rng = np.random.default_rng(0)
    moved = [distort(image, rng) for _ in range(10)]
    assert all(150 * 12**2 < each.sum() / 1.0 < 200 * 20**2 for each in moved)
    assert len({each.tobytes() for each in moved}) == 10
