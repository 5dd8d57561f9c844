import pytest

from vidfer.datasets.clips import find_clips
from vidfer.datasets.speech import find_ased, find_nemo, is_ased, is_nemo
from vidfer.types import VidferError

NEMO = {
    "anger": "angry",
    "fear": "fear",
    "happiness": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "surprised": "surprise",
}
ASED = {"a5": "angry", "f2": "fear", "h3": "happy", "n1": "neutral", "s4": "sad"}


def test_nemos_names_tell_class_and_person(tree):
    root = tree(*(f"samples/EB0_{word}_7.wav" for word in NEMO), "samples/WR0_fear_10.wav", "notes.wav")
    clips, report = find_nemo(root)
    assert is_nemo(root)
    assert not is_ased(root)
    assert {clip.name.split("_")[1]: clip.label for clip in clips if clip.person == "nemo-EB0"} == NEMO
    assert {clip.person for clip in clips} == {"nemo-EB0", "nemo-WR0"}
    assert (report.kept, report.dropped) == (7, {"name is none of nEMO": ["notes.wav"]})


def test_aseds_names_tell_class_and_person(tree):
    root = tree(*(f"Any/{code}-03-01-02-65.wav" for code in ASED), "Any/a5-01-01-01-01.wav")
    clips, _ = find_ased(root)
    assert is_ased(root)
    assert {clip.name[:2]: clip.label for clip in clips if clip.person == "ased-65"} == ASED
    assert {clip.person for clip in clips} == {"ased-1", "ased-65"}


def test_sorted_copies_are_the_same_takes(tree):
    """The speaker stands before the name in folders by class, and the layout by folders does not win."""
    root = tree("angry/EB0__EB0_anger_16.flac", "all/EB0_anger_16.wav", "sad/EB0__EB0_sadness_1.flac")
    clips, report = find_clips(str(root))
    assert [(clip.corpus, clip.label, clip.person) for clip in clips] == [
        ("nemo", "sad", "nemo-EB0"),
        ("nemo", "angry", "nemo-EB0"),
    ]
    assert "another file of the same take" in report.dropped


@pytest.mark.parametrize(
    ("find", "name", "message"),
    [
        (find_nemo, "EB0_disgust_1.wav", "emotion disgust is none of nEMO"),
        (find_ased, "d6-01-01-01-01.wav", "emotion d6 is none of ASED"),
    ],
)
def test_an_unknown_emotion_is_an_error_with_a_remedy(tree, find, name, message):
    with pytest.raises(VidferError, match=f"{name}: {message} .*correct the name"):
        find(tree(name))
    with pytest.raises(VidferError, match="expected names like"):
        find(tree("empty/talk.wav") / "empty")


def test_the_corpora_that_are_here(data_dir):
    for name, count, people, classes in (("nemo", 424, 9, 6), ("ased", 350, 65, 5)):
        clips, report = find_clips(str(data_dir / "speech_corpora" / name))
        assert (len(clips), len({clip.person for clip in clips}), len({clip.label for clip in clips})) == (
            count,
            people,
            classes,
        )
        assert all(clip.path.parent.name == clip.label for clip in clips)
        assert {clip.corpus for clip in clips} == {name}
        assert not report.dropped
