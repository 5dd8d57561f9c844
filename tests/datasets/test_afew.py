import pytest

from vidfer.datasets.afew import LABELS, find_afew
from vidfer.types import EMOTIONS, VidferError


def test_folders_tell_split_and_class(tree):
    root = tree(*(f"Train_AFEW/{name}/00{at}.avi" for at, name in enumerate(LABELS)), "Val_AFEW/Sad/010.avi")
    tree("Train_AFEW/list.txt", "Test_AFEW/Angry/1.avi")  # the test set has no labels
    clips, report = find_afew(root)
    assert {clip.label for clip in clips if clip.split == "train"} == set(EMOTIONS)
    assert [(clip.name, clip.label) for clip in clips if clip.split == "val"] == [("010.avi", "sad")]
    assert {clip.person for clip in clips} == {None}
    assert (report.found, report.kept, report.dropped, report.noted) == (8, 8, {}, {})


def test_sound_beside_its_video_is_no_clip_of_its_own(tree):
    clips, report = find_afew(tree("Train_AFEW/Angry/1.avi", "Train_AFEW/Angry/1.wav", "Val_AFEW/Sad/2.wav"))
    assert [clip.name for clip in clips] == ["1.avi", "2.wav"]
    assert report.dropped == {"another file of the same take": ["Angry/1.wav"]}


def test_short_names_of_splits_and_a_lacking_one(tree):
    clips, report = find_afew(tree("Train/happy/1.avi"))
    assert [(clip.split, clip.label) for clip in clips] == [("train", "happy")]
    assert report.noted == {"split is not there": ["val"]}


def test_faults(tree, tmp_path):
    root = tree("Train_AFEW/Angry/1.avi", "Val_AFEW/Contempt/2.avi")
    with pytest.raises(VidferError, match=r"2\.avi: 'Contempt' is no class of AFEW \(Angry, .*rename the folder"):
        find_afew(root)
    with pytest.raises(VidferError, match="neither Train_AFEW nor Val_AFEW"):
        find_afew(root / "Train_AFEW")
    with pytest.raises(VidferError, match="no folder"):
        find_afew(tmp_path / "none")
