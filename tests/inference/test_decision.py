from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax as scipy_softmax

from vidfer.inference.decision import (
    UNCERTAIN,
    Rules,
    SoundPrediction,
    by_name,
    calibrate,
    certain,
    fuse_modalities,
    invert_label_smoothing,
    logit_adjustment,
    pool,
    pool_peaks,
    predict_faces,
    predict_joint,
    predict_sound,
    predominant,
    softmax,
    used_windows,
    vote,
)
from vidfer.types import EMOTIONS, VidferError


def rows(*peaks, height=0.7):
    out = np.full((len(peaks), 7), (1 - height) / 6)
    out[np.arange(len(peaks)), list(peaks)] = height
    return out


HAPPY, SURPRISE, NEUTRAL = (EMOTIONS.index(name) for name in ("happy", "surprise", "neutral"))


def at_5_fps(p):
    """Pool rows 0.2 s apart, of equal weight."""
    return pool_peaks(p, np.ones(len(p)), 0.2 * np.arange(len(p)))


def test_label_smoothing_is_inverted():
    p = np.array([[0.9, 0.04, 0.03, 0.01, 0.01, 0.005, 0.005], [0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1]])
    smoothed = 0.9 * p + 0.1 / 7
    np.testing.assert_allclose(softmax(invert_label_smoothing(np.log(smoothed), 0.1)), p, atol=1e-6)
    unsure = np.array([[5.0, 0, 0, 0, 0, 0, -9.0]])  # the last is below what smoothing alone gives
    assert softmax(invert_label_smoothing(unsure, 0.1))[0, 6] == pytest.approx(1e-3, rel=0.1)
    assert invert_label_smoothing(unsure, 0.0) is unsure


def test_softmax_divides_by_the_temperature():
    z = np.random.default_rng(0).normal(0, 30, (5, 7)).astype(np.float32)
    np.testing.assert_allclose(softmax(z, 1.7), scipy_softmax(z.astype(float) / 1.7, axis=1), atol=1e-12)
    assert np.isfinite(softmax(1e4 * z)).all()


def test_the_full_logit_adjustment_is_bayes_rule():
    """From a made-up likelihood: posteriors under one prior become those under equal priors."""
    likelihood = np.random.default_rng(0).random((4, 7))
    shares = np.array([0.2, 0.02, 0.18, 0.3, 0.1, 0.1, 0.1])
    under_shares, under_equal = (
        raw / raw.sum(1, keepdims=True) for raw in (likelihood * shares, likelihood * np.full(7, 1 / 7))
    )
    np.testing.assert_allclose(logit_adjustment(under_shares, shares, 1.0), under_equal, atol=1e-12)
    np.testing.assert_allclose(logit_adjustment(under_shares, shares, 0.0), under_shares, atol=1e-12)


def test_half_the_adjustment_takes_the_root_of_the_odds():
    shares = [0.16, 0.01, 0.16, 0.25, 0.16, 0.1, 0.16]
    before, after = rows(3), logit_adjustment(rows(3), shares)
    gained = (after[0, 1] / after[0, 0]) / (before[0, 1] / before[0, 0])
    assert gained == pytest.approx(4)  # the root of 16


def test_a_short_expression_is_no_longer_drowned():
    clip = rows(*[NEUTRAL] * 7, *[HAPPY] * 6, *[NEUTRAL] * 7)
    assert predominant(pool(clip, np.ones(20)))[0] == "neutral"
    assert predominant(at_5_fps(clip))[0] == "happy"


@pytest.mark.parametrize("place", [0, 9, 19])
def test_one_wrong_image_among_twenty_changes_nothing(place):
    clip = rows(*[NEUTRAL] * 20, height=0.5)
    clip[place] = rows(SURPRISE, height=0.999)[0]
    assert predominant(at_5_fps(clip))[0] == "neutral"


def test_a_single_image_keeps_its_distribution():
    p = np.random.default_rng(0).dirichlet(np.ones(7), 1)
    np.testing.assert_allclose(pool_peaks(p, np.array([0.3]), np.array([1.5])), p[0], atol=1e-9)


def test_the_half_by_weight_with_least_neutral_is_pooled():
    """Far apart in time, so that nothing is smoothed: of weights 1, 4, 3 the first counts wholly, 3 of the second's 4."""
    p = rows(HAPPY, SURPRISE, NEUTRAL)
    p[0, [NEUTRAL, 0]] = 0.01, 0.09
    pooled = pool_peaks(p, np.array([1.0, 4.0, 3.0]), np.array([0.0, 10.0, 20.0]))
    by_hand = p[0] ** 0.25 * p[1] ** 0.75
    np.testing.assert_allclose(pooled, by_hand / by_hand.sum(), atol=1e-12)
    pooled = pool_peaks(p, np.array([3.0, 2.0, 1.0]), np.array([0.0, 10.0, 20.0]))
    np.testing.assert_allclose(pooled, p[0], atol=1e-12)


def test_images_are_smoothed_over_their_neighbours_in_time():
    p = np.random.default_rng(0).dirichlet(np.ones(7), 3)
    w = np.array([1.0, 0.5, 2.0])
    np.testing.assert_allclose(pool_peaks(p, w, np.array([0.0, 0.1, 0.3])), pool(p, w), atol=1e-12)


def test_neither_order_nor_copies_matter():
    rng = np.random.default_rng(0)
    p, w, t = rng.dirichlet(np.ones(7), 30), rng.uniform(0.1, 1, 30), 0.2 * np.arange(30)
    pooled = pool_peaks(p, w, t)
    mixed = rng.permutation(30)
    np.testing.assert_allclose(pool_peaks(p[mixed], w[mixed], t[mixed]), pooled, atol=1e-9)
    np.testing.assert_allclose(pool_peaks(np.repeat(p, 3, 0), np.repeat(w, 3), np.repeat(t, 3)), pooled, atol=1e-9)


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
    """Three frames of low probability outvote a certain one, but not its log-probability."""
    p = np.vstack([rows(6, 6, 6, height=0.2), rows(3, height=0.99)])
    assert predominant(vote(p))[0] == "neutral"
    assert predominant(pool(p, np.ones(4)))[0] == "happy"


def test_predominant_gives_the_margin_and_settles_ties_by_order():
    assert predominant(np.array([0.1, 0, 0, 0.6, 0.3, 0, 0])) == ("happy", pytest.approx(0.3))
    assert predominant(np.array([0, 0, 0, 0.5, 0, 0.5, 0])) == ("happy", 0.0)


def test_what_is_not_probable_enough_is_uncertain():
    p = np.array([0.1, 0, 0, 0.6, 0.3, 0, 0])
    assert predominant(p, 0.6)[0] == "happy"
    assert predominant(p, 0.61) == (UNCERTAIN, pytest.approx(0.3))


def fuse(faces, sound, **weights):
    """Fuse two distributions late."""
    given = (SimpleNamespace(distribution=distribution) for distribution in (faces, sound))
    return fuse_modalities(*given, None, Rules(**weights)).distribution


@pytest.mark.parametrize("seed", range(5))
def test_late_fusion_is_the_product_of_what_each_modality_tells(seed):
    """By hand: each is right about its distribution in 19 of 20 cases, and tells nothing in the other."""
    faces, sound = np.random.default_rng(seed).dirichlet(np.ones(7), 2)
    tells = [19 / 20 * each + 1 / 20 / 7 for each in (faces, sound)]
    product = tells[0] * tells[1] ** 0.5
    np.testing.assert_allclose(fuse(faces, sound, sound_weight=0.5), product / product.sum(), atol=1e-12)


def test_the_flatter_distribution_counts_less():
    faces, sound = rows(3, 4, height=0.6)
    assert predominant(fuse(faces, rows(4, height=0.5)[0]))[0] == "happy"
    assert predominant(fuse(rows(3, height=0.5)[0], sound))[0] == "sad"
    np.testing.assert_allclose(fuse(faces, np.full(7, 1 / 7)), 0.95 * faces + 0.05 / 7, atol=1e-12)


def test_agreeing_modalities_are_surer_than_each():
    assert fuse(rows(3, height=0.6)[0], rows(3, height=0.5)[0])[3] > 0.8


def test_no_modality_can_quite_exclude_a_class():
    """The sound excludes what the faces show; the odds that it can multiply by are (0.95 + 0.05 / 7) / (0.05 / 7) = 134."""
    faces, sound = np.eye(7)[3], np.eye(7)[4]
    fused = fuse(faces, sound)
    assert fused[3] == pytest.approx(fused[4])
    surer = fuse(faces, 0.9 * sound + 0.1 / 7)
    assert surer[3] / surer[4] == pytest.approx(
        134 / ((0.95 * (0.9 + 0.1 / 7) + 0.05 / 7) / (0.95 * 0.1 / 7 + 0.05 / 7))
    )
    assert surer.argmax() == 3


def test_names_follow_the_order_of_the_classes():
    assert list(by_name(np.arange(7) / 21)) == list(EMOTIONS)


@pytest.fixture
def two_people():
    """Logits `(5, 7)` as the image model makes them, ids, times, weights: three images of person 7, two of person 4."""
    rng = np.random.default_rng(0)
    return (
        rng.normal(0, 2, (5, 7)).astype(np.float32),
        np.array([7, 4, 7, 7, 4]),
        np.array([0.0, 0.2, 0.2, 0.4, 0.4]),
        rng.uniform(0.1, 1, 5),
    )


@pytest.mark.parametrize("rule", ["peaks", "mean"])
def test_each_person_is_pooled_and_counts_by_its_images(two_people, rule):
    logits, person, times, weights = two_people
    shares = (0.14, 0.01, 0.14, 0.25, 0.16, 0.12, 0.18)
    rules = Rules(face_calibration=(1.3, 0.1), class_shares=shares, pool=rule)
    found = predict_faces(logits, person, times, weights, rules)
    p = scipy_softmax(logits.astype(float), axis=1)
    p = np.maximum((p - 0.1 / 7) / 0.9, 1e-3)
    p = scipy_softmax(np.log(p) / 1.3, axis=1) / np.sqrt(shares)
    p /= p.sum(1, keepdims=True)
    np.testing.assert_allclose(found.probabilities, p, atol=1e-9)
    assert (found.people.tolist(), found.share.tolist()) == ([4, 7], [0.4, 0.6])
    for distribution, rows in zip(found.of_people, ([1, 4], [0, 2, 3]), strict=True):
        one = pool_peaks(p[rows], weights[rows], times[rows]) if rule == "peaks" else pool(p[rows], weights[rows])
        np.testing.assert_allclose(distribution, one, atol=1e-9)
    np.testing.assert_allclose(found.distribution, 0.4 * found.of_people[0] + 0.6 * found.of_people[1], atol=1e-12)


def test_the_peaks_have_a_temperature_of_their_own(two_people):
    plain, sharp = (predict_faces(*two_people, Rules(pooled_temperature=t)) for t in (1.0, 0.5))
    np.testing.assert_array_equal(sharp.probabilities, plain.probabilities)
    squared = plain.of_people**2
    np.testing.assert_allclose(sharp.of_people, squared / squared.sum(1, keepdims=True), atol=1e-9)
    mean, other = (predict_faces(*two_people, Rules(pool="mean", pooled_temperature=t)) for t in (1.0, 0.5))
    np.testing.assert_array_equal(mean.of_people, other.of_people)


def test_windows_count_where_someone_speaks_or_wherever_there_is_sound():
    silent, speech = np.array([False, False, True]), np.array([0.25, 0.24, 1.0])
    assert used_windows(silent, speech, Rules()).tolist() == [True, False, False]
    assert used_windows(silent, speech, Rules(speech_only=False)).tolist() == [True, True, False]


def test_sound_is_the_geometric_mean_of_its_windows():
    logits = np.random.default_rng(0).normal(0, 1, (4, 7))
    found = predict_sound(logits, Rules(sound_calibration=(2.0, 0.0)))
    np.testing.assert_allclose(found.distribution, scipy_softmax(logits.mean(0) / 2), atol=1e-9)


def test_modalities_are_fused_late_or_with_the_trained_model(two_people):
    faces = predict_faces(*two_people, Rules())
    sound = SoundPrediction(rows(HAPPY), rows(HAPPY)[0])
    late = fuse_modalities(faces, sound, None, Rules(face_weight=0.5))
    assert (late.method, late.weights) == ("late", {"faces": 0.5, "sound": 1.0})
    logits = np.random.default_rng(1).normal(0, 2, (2, 7))
    joint = predict_joint(logits, faces.share, Rules(fusion_calibration=(1.5, 0.0)))
    np.testing.assert_allclose(joint, np.array([0.4, 0.6]) @ scipy_softmax(logits / 1.5, axis=1), atol=1e-12)
    trained = fuse_modalities(faces, sound, joint, Rules(face_weight=0.5))
    assert trained.method == "trained"
    np.testing.assert_allclose(trained.distribution, (joint + late.distribution) / 2, atol=1e-12)


def test_one_modality_stands_alone(two_people):
    faces = predict_faces(*two_people, Rules())
    alone = fuse_modalities(faces, None, None, Rules())
    assert (alone.method, alone.weights, alone.distribution.tolist()) == (
        "alone",
        {"faces": 1.0},
        faces.distribution.tolist(),
    )
    sound = SoundPrediction(rows(HAPPY), rows(HAPPY)[0])
    alone = fuse_modalities(None, sound, None, Rules())
    assert (alone.method, alone.weights, alone.distribution) == ("alone", {"sound": 1.0}, pytest.approx(rows(HAPPY)[0]))
    assert fuse_modalities(None, None, None, Rules()) is None


@pytest.mark.parametrize("kind", ["image", "sound", "fusion"])
def test_output_that_is_not_finite_is_refused(kind):
    with pytest.raises(VidferError, match=f"the {kind} model's output is not finite"):
        calibrate(np.array([[0, np.nan, 0, 0, 0, 0, 0.0]]), None, kind)


def test_rows_are_certain_from_the_threshold_on():
    assert certain(rows(HAPPY, SURPRISE, height=0.75), 0.75).tolist() == [True, True]
    assert certain(np.vstack([rows(HAPPY, height=0.74), rows(HAPPY, height=0.76)]), 0.75).tolist() == [False, True]
    assert certain(rows(HAPPY), None).tolist() == [True]


@pytest.mark.parametrize("seed", range(20))
def test_votes_are_what_pandas_counts(seed):
    """Of random people, numbers of faces, and thresholds; the prior does not take part where it is left as trained."""
    rng = np.random.default_rng(seed)
    n, abstain = int(rng.integers(1, 60)), [None, 0.3, 0.6][seed % 3]
    logits, person = rng.normal(0, 2, (n, 7)), rng.integers(0, 4, n)
    temperature = float(rng.uniform(0.5, 2))
    rules = Rules(face_calibration=(temperature, 0.0), answer="vote", abstain=abstain)
    found = predict_faces(logits, person, rng.uniform(0, 9, n), rng.uniform(0.1, 1, n), rules)
    table = pd.DataFrame(scipy_softmax(logits / temperature, axis=1), columns=list(EMOTIONS))
    table = pd.DataFrame({"person": person, "vote": table.idxmax(axis=1), "p": table.max(axis=1)})
    sure = table[table["p"] >= (abstain or 0)]

    def shares(votes):
        counted = votes.value_counts(normalize=True).reindex(EMOTIONS, fill_value=0.0)
        return counted.to_numpy() if len(votes) else np.full(7, 1 / 7)

    np.testing.assert_allclose(found.distribution, shares(sure["vote"]), atol=1e-12)
    assert found.people.tolist() == sorted(set(person.tolist()))
    for one, distribution in zip(found.people, found.of_people, strict=True):
        np.testing.assert_allclose(distribution, shares(sure["vote"][sure["person"] == one]), atol=1e-12)
    if abstain is None:  # the votes of all faces are those of the persons by their numbers of faces
        np.testing.assert_allclose(found.share @ found.of_people, found.distribution, atol=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_a_faces_model_replaces_the_pooling_and_nothing_else(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 40))
    given = rng.normal(0, 2, (n, 7)), np.arange(n) % 3, np.arange(n) / 5, rng.uniform(0.1, 1, n)
    by_person = rng.normal(0, 2, (3, 7))
    plain = predict_faces(*given, Rules())
    found = predict_faces(*given, Rules(person_calibration=(1.5, 0.0)), by_person)
    np.testing.assert_array_equal(found.probabilities, plain.probabilities)
    np.testing.assert_allclose(found.of_people, scipy_softmax(by_person / 1.5, axis=1), atol=1e-12)
    counts = np.bincount(given[1])
    np.testing.assert_allclose(found.distribution, np.average(found.of_people, axis=0, weights=counts), atol=1e-12)
    voted = predict_faces(*given, Rules(answer="vote"), by_person)
    np.testing.assert_allclose(voted.distribution, vote(given[0]), atol=1e-12)


def test_a_sequence_of_sound_is_predicted_by_its_last_state():
    logits = np.random.default_rng(0).normal(0, 2, (5, 7))
    rules = Rules(sound_calibration=(2.0, 0.0))
    by_state, pooled = predict_sound(logits, rules, sequential=True), predict_sound(logits, rules)
    np.testing.assert_allclose(by_state.distribution, scipy_softmax(logits[-1] / 2), atol=1e-12)
    np.testing.assert_array_equal(by_state.probabilities, pooled.probabilities)
    np.testing.assert_allclose(pooled.distribution, scipy_softmax(logits.mean(0) / 2), atol=1e-12)
