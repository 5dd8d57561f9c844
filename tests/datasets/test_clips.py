import pytest

from vidfer.datasets.clips import DATASETS, find_clips
from vidfer.datasets.splits import take_people
from vidfer.types import VidferError


@pytest.fixture
def layouts(tree):
    """A folder of each layout."""
    root = tree(
        "afew/Train_AFEW/Angry/1.avi", "ravdess/Actor_01/03-01-05-01-01-01-01.wav", "ravdess/talk/a.wav",
        "crema_d/AudioWAV/1001_DFA_ANG_XX.wav", "folders/angry/1.mp4", "manifest/angry/1.mp4",
        "ravdess/a/03-01-08-01-01-01-01.wav", "nemo/samples/EB0_anger_1.wav", "ased/Angry/a5-01-01-01-01.wav",
    )  # fmt: skip
    (root / "manifest/manifest.csv").write_text("path,label\nangry/1.mp4,fear\n")
    return root


def test_every_layout_is_recognised(layouts):
    labels = {name: [clip.label for clip in find_clips(str(layouts / name))[0]] for name in DATASETS}
    alone = {name: ["angry"] for name in ("afew", "crema_d", "nemo", "ased", "folders")}
    assert labels == {**alone, "ravdess": ["angry", "surprise"], "manifest": ["fear"]}
    assert find_clips(str(layouts / "manifest/manifest.csv"))[0] == find_clips("manifest", layouts / "manifest")[0]


def test_default_places(layouts, monkeypatch):
    monkeypatch.chdir(layouts.parent)
    assert {name: len(find_clips(name)[0]) for name in DATASETS} == dict.fromkeys(DATASETS, 1) | {"ravdess": 2}
    (layouts / "ravdess").rename(layouts / "ravdess_speech")
    assert len(find_clips("ravdess")[0]) == 2


def test_choices_go_to_the_data_set(layouts):
    with pytest.raises(VidferError, match=r"no recording .*song"):
        find_clips("ravdess", layouts / "ravdess", channel="song")
    with pytest.raises(VidferError, match="of afew there is no choice of channel, but of nothing"):
        find_clips("afew", layouts / "afew", channel="song")


def test_what_is_not_recognised(layouts, tree):
    with pytest.raises(VidferError, match=r"'imagenet' is neither a data set \(ravdess, .*\) nor a folder"):
        find_clips("imagenet")
    with pytest.raises(
        VidferError, match=r"layout of .*holidays is not known: expected RAVDESS .*CREMA-D .*AFEW .*CSV"
    ):
        find_clips(str(tree("holidays/beach/1.mp4") / "holidays"))
    with pytest.raises(VidferError, match="says where the data lie, and so does root"):
        find_clips(str(layouts / "afew"), layouts)


def test_several_data_sets_are_read_as_one(tree, monkeypatch):
    """Their persons and names stay apart, and people are chosen by the name of a data set."""
    root = tree(
        "ravdess/03-01-05-01-01-01-17.wav", "ravdess/03-01-05-01-01-01-02.wav", "nemo/EB0_anger_2.wav", "mine/sad/anna/a.wav",
        "mine/happy/anna/b.wav", "yours/sad/anna/a.wav",
    )  # fmt: skip
    monkeypatch.chdir(root.parent)
    clips, report = find_clips("ravdess,nemo,data/mine, data/yours")
    assert report.kept == len(clips) == 6
    assert "RAVDESS in ravdess, nEMO in nemo" in report.source
    assert {clip.corpus for clip in clips} == {"ravdess", "nemo", "mine", "yours"}
    assert {clip.name for clip in clips} >= {"mine/a.wav", "yours/a.wav", "b.wav"}
    assert {clip.person for clip in clips[3:]} == {"mine-anna", "yours-anna"}
    assert [clip.person for clip in take_people(clips, "nemo,ravdess-2-16")] == ["ravdess-2", "nemo-EB0"]
    for wrong, message in (
        ("nemo,nemo", "name each once"),
        ("nemo,", "name each once"),
        ("nemo,data/nemo", "are called nemo"),
    ):
        with pytest.raises(VidferError, match=message):
            find_clips(wrong)
    with pytest.raises(VidferError, match="several data sets"):
        find_clips("ravdess,nemo", root)
