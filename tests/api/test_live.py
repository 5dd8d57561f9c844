"""Frames as they come: the same numbers as of a file."""

import dataclasses

import numpy as np
import pytest

from vidfer import EMOTIONS, Analyzer, UsageError
from vidfer.media.decode import Frame


@pytest.fixture(scope="module")
def live(analyzer, portrait):
    return list(analyzer.stream(portrait, fps=50))


def test_a_stream_of_100_frames_gives_the_probabilities_of_the_file(live, analysed):
    people = {(frame.index, person.person): person for frame in live for person in frame.people}
    rows = analysed.frames[analysed.frames["status"] == "face"]
    assert len(rows) == len(people) >= 95
    assert rows["denoised"].sum() >= 5  # the noisy ones: all steps of the chain are taken
    for row in rows.to_dict("records"):
        found = people[row["frame"], int(row["person_id"].split("#")[1])]
        assert list(found.probabilities) == list(EMOTIONS)
        np.testing.assert_allclose(
            [found.probabilities[name] for name in EMOTIONS], [row[name] for name in EMOTIONS], atol=1e-5
        )
        np.testing.assert_allclose(found.box, [row[name] for name in ("x0", "y0", "x1", "y1")], atol=1e-5)
        assert found.weight == pytest.approx(row["weight"], abs=1e-5)
        assert found.expression == row["expression"]


def test_smoothing_reads_the_past_alone(live):
    person = [(frame.time_s, frame.people[0]) for frame in live if frame.people and frame.people[0].person == 1]
    for at in (0, 10, len(person) - 1):
        time, now = person[at]
        near = [(then, past) for then, past in person[: at + 1] if time - then <= 0.9 and past.weight >= 0.25]
        shares = [past.weight * np.exp(-0.5 * ((time - then) / 0.3) ** 2) for then, past in near]
        mean = np.average([[*past.probabilities.values()] for _, past in near], axis=0, weights=shares)
        np.testing.assert_allclose([*now.smooth.values()], mean, atol=1e-9)
        assert now.smooth_expression == EMOTIONS[int(mean.argmax())]


def test_an_answer_is_there_before_the_next_frame_is_asked_for(analyzer, portrait):
    taken = []

    def camera():
        for number in range(10**9):  # has no end
            taken.append(number)
            yield 1e9 + number / 25, portrait[number]

    answers = analyzer.stream(camera())
    for number in range(3):
        answer = next(answers)
        assert (answer.index, answer.time_s, taken[-1]) == (number, 1e9 + number / 25, number)
        assert 0 < answer.latency_s < 60
    answers.close()
    with pytest.raises(dataclasses.FrozenInstanceError):
        answer.index = 0


def test_frames_of_the_decoder_keep_their_numbers_and_may_change_their_size(analyzer, portrait):
    frames = [Frame(7, 1.0, portrait[0]), Frame(9, 1.5, portrait[1, ::2, ::2]), Frame(11, 2.0, portrait[2])]
    assert [(each.index, each.time_s) for each in analyzer.stream(frames)] == [(7, 1.0), (9, 1.5), (11, 2.0)]


@pytest.mark.parametrize(
    ("frames", "fps", "message"),
    [
        (np.zeros((2, 8, 8, 3)), 5, "uint8"),
        (np.zeros((2, 8, 8, 3), np.uint8), None, "give fps"),
        ([(0.0, np.zeros((8, 8, 3), np.uint8)), (0.0, np.zeros((8, 8, 3), np.uint8))], None, "increase"),
        ([np.zeros((8, 8), np.uint8)], 5, "RGB"),
    ],
)
def test_other_frames_are_refused(frames, fps, message):
    with pytest.raises(UsageError, match=message):
        list(Analyzer().stream(frames, fps=fps))
