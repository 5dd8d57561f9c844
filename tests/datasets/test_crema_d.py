import pytest

from vidfer.datasets.crema_d import find_crema_d, is_crema_d
from vidfer.types import VidferError


def test_names_tell_class_and_person(tree):
    codes = {"ANG": "angry", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
    root = tree(*(f"AudioWAV/1001_DFA_{code}_XX.wav" for code in codes), "AudioWAV/1091_IEO_HAP_MD.wav")
    clips, report = find_crema_d(root)
    assert is_crema_d(root)
    assert {clip.name[9:12]: clip.label for clip in clips} == codes
    assert [clip.person for clip in clips] == ["crema-d-1001"] * 6 + ["crema-d-1091"]
    assert (report.found, report.kept, report.dropped) == (7, 7, {})


def test_a_take_counts_once_as_video_or_sound(tree):
    names = ("AudioWAV/1001_DFA_ANG_XX.wav", "AudioMP3/1001_DFA_ANG_XX.mp3", "VideoFlash/1001_DFA_ANG_XX.flv")
    root = tree(*names, "AudioWAV/1002_DFA_SAD_XX.wav")

    def taken(modality):
        return [clip.path.parent.name for clip in find_crema_d(root, modality)[0]]

    assert taken("any") == ["VideoFlash", "AudioWAV"]
    assert taken("sound") == ["AudioWAV", "AudioWAV"]
    assert taken("video") == ["VideoFlash"]
    assert set(find_crema_d(root)[1].dropped) == {"another file of the same take"}
    with pytest.raises(VidferError, match="modality 'audio' of CREMA-D is none of any, sound, video"):
        find_crema_d(root, "audio")


def test_videos_that_git_did_not_fetch_do_not_hide_the_sound(tree):
    root = tree("AudioWAV/1001_DFA_ANG_XX.wav")
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 99\n"
    tree("VideoFlash/1001_DFA_ANG_XX.flv", content=pointer)
    clips, report = find_crema_d(root)
    assert [clip.name for clip in clips] == ["1001_DFA_ANG_XX.wav"]
    assert report.dropped == {
        "git-lfs pointer in place of the recording: run `git lfs pull`": ["VideoFlash/1001_DFA_ANG_XX.flv"]
    }


def test_known_oddities_of_the_set(tree):
    root = tree("1040_ITH_SAD_X.wav", "1040_ITH_SAD_XX.flv", "1076_MTI_SAD_XX.wav", "talk.wav", "1001_ABC_SAD_XX.wav")
    clips, report = find_crema_d(root)
    assert [clip.name for clip in clips] == ["1040_ITH_SAD_XX.flv", "1076_MTI_SAD_XX.wav"]
    assert report.dropped["name is none of CREMA-D"] == ["1001_ABC_SAD_XX.wav", "talk.wav"]
    assert report.noted == {"published without sound": ["1076_MTI_SAD_XX.wav"]}


def test_what_an_actor_lacks_is_listed(tree):
    root = tree(*(f"{actor}_{script}_XX.wav" for actor in (1001, 1002, 1003) for script in ("DFA_ANG", "TIE_NEU")))
    (root / "1002_TIE_NEU_XX.wav").unlink()
    assert find_crema_d(root)[1].noted == {"missing": ["1002_TIE_NEU_XX"]}


def test_an_unknown_emotion_is_an_error_with_a_remedy(tree):
    root = tree("1001_DFA_ANG_XX.wav", "1001_DFA_SUR_XX.wav")
    with pytest.raises(VidferError, match=r"1001_DFA_SUR_XX\.wav: emotion SUR is none of CREMA-D .*correct the name"):
        find_crema_d(root)
    with pytest.raises(VidferError, match=r"no recording \(any\) .*expected names like 1001_DFA_ANG_XX"):
        find_crema_d(tree("other/talk.wav") / "other")
