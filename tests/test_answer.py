import numpy as np
import pytest

from vidfer.answer import by_name, fuse, pool, predominant, vote
from vidfer.types import EMOTIONS


def rows(*peaks, height=0.7):
    out = np.full((len(peaks), 7), (1 - height) / 6)
    out[np.arange(len(peaks)), list(peaks)] = height
    return out


def test_pool_is_the_weighted_geometric_mean():
    p = np.random.default_rng(0).dirichlet(np.ones(7), 5)
    w = np.array([1.0, 2.0, 0.5, 0.0, 3.0])
    by_hand = np.prod(p ** (w / w.sum())[:, None], axis=0)
    np.testing.assert_allclose(pool(p, w), by_hand / by_hand.sum(), atol=1e-12)


def test_pool_survives_certainty():
    p = np.eye(7)[[0, 3, 3]]
    pooled = pool(p, np.ones(3))
    assert pooled.argmax() == 3
    assert np.isfinite(pooled).all()


def test_vote_counts_the_most_probable_classes():
    shares = vote(rows(3, 3, 5, 6))
    assert shares[[3, 5, 6]].tolist() == [0.5, 0.25, 0.25]
    assert shares.sum() == 1


def test_vote_and_pool_can_differ():
    """Three lukewarm frames outvote one certain frame, but not its log-probability."""
    p = np.vstack([rows(6, 6, 6, height=0.2), rows(3, height=0.99)])
    assert predominant(vote(p))[0] == "neutral"
    assert predominant(pool(p, np.ones(4)))[0] == "happy"


def test_predominant_gives_the_margin_and_settles_ties_by_order():
    assert predominant(np.array([0.1, 0, 0, 0.6, 0.3, 0, 0])) == ("happy", pytest.approx(0.3))
    assert predominant(np.array([0, 0, 0, 0.5, 0, 0.5, 0])) == ("happy", 0.0)


def test_fuse_of_one_modality_is_itself():
    p = np.random.default_rng(1).dirichlet(np.ones(7))
    np.testing.assert_allclose(fuse({"sound": p}, {"sound": 0.3}), p, atol=1e-9)


def test_fuse_weighs_its_parts():
    faces, sound = rows(3, 4, height=0.6)
    assert predominant(fuse({"faces": faces, "sound": sound}, {"faces": 0.7, "sound": 0.3}))[0] == "happy"
    assert predominant(fuse({"faces": faces, "sound": sound}, {"faces": 0.3, "sound": 0.7}))[0] == "sad"


def test_one_modality_cannot_veto_the_other():
    faces, sound = rows(3, height=0.8)[0], np.array([0, 0.48, 0, 0.0, 0, 0, 0.52])
    assert predominant(fuse({"faces": faces, "sound": sound}, {"faces": 0.7, "sound": 0.3}))[0] == "happy"


def test_names_follow_the_order_of_the_classes():
    assert list(by_name(np.arange(7) / 21)) == list(EMOTIONS)
