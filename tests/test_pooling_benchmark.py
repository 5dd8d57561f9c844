"""The rules that benchmarks/pooling.py and late_fusion.py compare, and what a simulated clip's class is."""

import sys
from pathlib import Path

import numpy as np
import pytest

from vidfer.types import EMOTIONS

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import late_fusion
import pooling
import simulated_clips

HAPPY, SAD, NEUTRAL = (EMOTIONS.index(name) for name in ("happy", "sad", "neutral"))


def clip(*labels, height=0.7):
    """Return a clip whose frames show these classes with that probability."""
    soft = np.full((len(labels), 7), (1 - height) / 6)
    soft[np.arange(len(labels)), list(labels)] = height
    return simulated_clips.Clip("p", 0, soft, soft, np.arange(len(labels)) / 5, np.ones(len(labels)))


@pytest.mark.parametrize("name", pooling.RULES)
@pytest.mark.parametrize("seed", range(5))
def test_no_rule_depends_on_the_order_of_rows_or_on_duplicates(name, seed):
    rng = np.random.default_rng(seed)
    p, w, t = rng.dirichlet(np.ones(7), 24), rng.uniform(0.1, 1, 24), np.arange(24) / 5
    found, mixed = pooling.RULES[name](p, w, t), rng.permutation(24)
    assert found.sum() == pytest.approx(1)
    np.testing.assert_allclose(pooling.RULES[name](p[mixed], w[mixed], t[mixed]), found, atol=1e-9)
    twice = pooling.RULES[name](*(np.repeat(each, 2, 0) for each in (p, w, t)))
    tolerance = 0.03 if "quantile" in name else 1e-9  # a quantile lies between two frames, and a copy moves these
    np.testing.assert_allclose(twice, found, atol=tolerance)


@pytest.mark.parametrize("name", pooling.RULES)
def test_every_rule_keeps_the_class_of_a_single_frame(name):
    p = np.random.default_rng(0).dirichlet(np.ones(7), 1)
    assert pooling.RULES[name](p, np.array([0.3]), np.array([1.0])).argmax() == p.argmax()


def test_own_top_share_by_hand():
    """Weights 1, 2, 1: a quarter of all weight is the first happy frame alone; neutral is the weighted mean."""
    p = np.full((3, 7), 0.05)
    p[:, HAPPY], p[:, NEUTRAL] = [0.6, 0.15, 0.25], [0.15, 0.6, 0.5]
    found = pooling.peak(p, np.array([1.0, 2.0, 1.0]), np.arange(3.0), share=0.25)
    assert found[HAPPY] / found[NEUTRAL] == pytest.approx(0.6 / ((0.15 + 2 * 0.6 + 0.5) / 4))


def test_a_clip_shows_the_strongest_expression_that_lasts():
    assert simulated_clips.truth(clip(*[NEUTRAL] * 8, HAPPY, HAPPY)) == HAPPY
    assert simulated_clips.truth(clip(*[NEUTRAL] * 9, HAPPY)) == NEUTRAL
    assert simulated_clips.truth(clip(*[NEUTRAL] * 9, HAPPY), 0.1) == HAPPY
    assert simulated_clips.truth(clip(*[NEUTRAL] * 5, *[SAD] * 3, HAPPY, HAPPY)) == SAD


@pytest.mark.parametrize("seed", range(3))
def test_mean_recall_is_scikit_learns_and_resampled_persons_spread_around_it(seed):
    from sklearn.metrics import recall_score

    rng = np.random.default_rng(seed)
    target, preds, person = rng.integers(0, 7, 400), rng.integers(0, 7, 400), np.arange(400) // 4
    half = pooling.Half("chosen on", [], [], target, person, target < 0)
    found = pooling.recalls(half, target, preds)
    np.testing.assert_allclose(found, recall_score(target, preds, average=None), atol=1e-12)
    spread = pooling.recalls(half, target, preds, 400)
    assert spread.shape == (400, 7)
    np.testing.assert_allclose(spread.mean(0), found, atol=0.02)


@pytest.mark.parametrize("gap", [0.02, 0.06])
def test_an_open_mouth_changes_the_lower_face_alone(gap):
    face = np.random.default_rng(0).integers(100, 200, (128, 128), np.uint8)
    opened = simulated_clips.open_mouth(face, gap)
    np.testing.assert_array_equal(opened[:90], face[:90])
    assert opened[100:104, 60:68].mean() < face[100:104, 60:68].mean()


def test_recordings_are_paired_with_faces_of_their_class():
    target, heard = np.arange(70) % 7, np.array([HAPPY, SAD, SAD])
    half = pooling.Half("chosen on", [], [], target, np.arange(70), target < 0)
    sound = np.eye(7)[heard]
    recordings = late_fusion.Recordings("speech", sound, sound, heard, ["a", "b", "a"])
    pairs = late_fusion.pair(recordings, half, np.eye(7)[target], np.eye(7)[target])
    assert (pairs.faces.argmax(1) == pairs.target).all()
    assert (pairs.sound.argmax(1) == pairs.target).all()
    assert pairs.speaker.tolist() == [0] * 4 + [1] * 4 + [0] * 4
    assert (target[pairs.person] == pairs.target).all()


def test_samples_of_speakers_and_persons_spread_around_the_accuracy():
    """With 40 speakers and 40 persons; where a speaker decides what is right, the interval is wider than where nobody does."""
    rng = np.random.default_rng(0)
    speaker, person = (each.ravel() for each in np.mgrid[:40, :40])
    none = np.zeros((1600, 7))
    pairs = late_fusion.Pairs(none, none, none, none, speaker, speaker, person)
    alike, mixed = np.isin(speaker, np.arange(20)), rng.permutation(1600) < 800
    spread = [late_fusion.accuracy(pairs, right) for right in (alike, mixed)]
    assert [each.mean() for each in spread] == pytest.approx([0.5, 0.5], abs=0.02)
    assert spread[0].std() == pytest.approx(0.5 / 40**0.5, rel=0.1)
    assert spread[0].std() > 2 * spread[1].std()


def test_the_sums_weight_follows_who_is_right():
    target = np.arange(70) % 7
    sure, flat = 0.9 * np.eye(7)[target] + 0.1 / 7, np.full((70, 7), 1 / 7)
    pairs = late_fusion.Pairs(sure, sure, flat, flat, target, target, target)
    assert late_fusion.fit_rivals(pairs)["likelihood"] > 0.99
    assert late_fusion.fit_rivals(pairs)["skill"] > 0.98
