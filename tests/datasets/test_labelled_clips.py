from pathlib import Path

import pytest

from vidfer.datasets.labelled_clips import CLASS_NAMES, name_label, ravdess_label
from vidfer.types import EMOTIONS


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("01-01-01-01-01-01-01.mp4", "neutral"),
        ("01-01-02-01-01-01-01.mp4", "neutral"),
        ("02-01-03-01-01-01-01.mp4", "happy"),
        ("01-01-04-01-01-01-01.mp4", "sad"),
        ("01-01-05-01-01-01-01.mp4", "angry"),
        ("01-01-06-01-01-01-01.mp4", "fear"),
        ("01-02-07-01-01-01-01.mkv", "disgust"),
        ("01-01-08-01-01-01-01.mp4", "surprise"),
        ("03-01-08-01-01-01-01.wav", None),  # sound alone
        ("01-01-09-01-01-01-01.mp4", None),
        ("01-01-01-02-01-01-01.mp4", None),  # no strong neutral
        ("happy.mp4", None),
    ],
)
def test_ravdess_names(name, label):
    assert ravdess_label(Path("any") / name) == label


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("disgusted.mp4", "disgust"),
        ("a/Sad.MP4", "sad"),
        ("surprised.mp4", "surprise"),
        ("M030_sad_3_001.mp4", "sad"),
        ("x-fearful2.mov", "fear"),
        ("happy/0001.mp4", "happy"),
        ("happy/sadness.mp4", None),  # which?
        ("happy/happiness.mp4", "happy"),
        ("happy_then_sad.mp4", None),
        ("unhappy.mp4", None),
        ("contempt.mp4", None),
        ("sad/deeper/1.mp4", None),
    ],
)
def test_words_in_names(path, label):
    assert name_label(Path(path)) == label


def test_every_word_stands_for_a_class():
    assert set(CLASS_NAMES.values()) == set(EMOTIONS)
