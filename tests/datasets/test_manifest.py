from pathlib import Path

import pytest

from vidfer.datasets.manifest import CLASS_NAMES, find_folders, find_manifest, is_folders, name_label, ravdess_label
from vidfer.types import EMOTIONS, VidferError


@pytest.fixture
def manifest(tree):
    def write(*lines, encoding="utf-8"):
        root = tree("a/1.mp4", "a/2.mp4", "3.wav")
        (root / "manifest.csv").write_text("\n".join(lines), encoding=encoding)
        return root / "manifest.csv"

    return write


def test_columns(manifest):
    file = manifest(
        "label, person,path,split,note", "Sadness,p1,a/1.mp4,Train,x", "happy,,a/2.mp4,,", "calm,p2,3.wav,test,"
    )
    clips, report = find_manifest(file)
    facts = [(clip.path, clip.label, clip.person, clip.split) for clip in clips]
    root = file.parent
    assert facts == [
        (root / "a/1.mp4", "sad", "p1", "train"),
        (root / "a/2.mp4", "happy", None, None),
        (root / "3.wav", "neutral", "p2", "test"),
    ]
    assert (report.found, report.kept) == (3, 3)
    assert find_manifest(root)[0] == clips


def test_persons_and_splits_need_not_be_given_and_a_spreadsheets_mark_is_read(manifest):
    clips, _ = find_manifest(manifest("path,label", "3.wav,fear", encoding="utf-8-sig"))
    assert [(clip.name, clip.label, clip.person) for clip in clips] == [("3.wav", "fear", None)]


def test_missing_files_and_repeated_lines_are_listed(manifest):
    _, report = find_manifest(manifest("path,label", "3.wav,fear", "gone.mp4,sad", "3.wav,fear"))
    assert report.dropped == {"named again": ["line 4: 3.wav"], "missing": ["gone.mp4"]}
    assert (report.found, report.kept) == (3, 1)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("path,label", "3.wav,fear", "a/1.mp4,contempt"), r"line 3: label 'contempt' of a/1.mp4 is none of angry, "),
        (("path,label,split", "3.wav,fear,dev"), r"line 2: split 'dev' of 3.wav is none of train, val, test"),
        (("path,label", ",fear"), "line 2: no path"),
        (("path,label", "3.wav,fear", "3.wav,sad"), "line 3: 3.wav stands in line 2 with another label"),
        (("path,label", "3.wav"), "line 2: label '' of 3.wav"),
        (("file,label", "3.wav,fear"), "has no column path"),
        (("",), "has no column path and label"),
    ],
)
def test_faults_name_the_line(manifest, lines, message):
    with pytest.raises(VidferError, match=message):
        find_manifest(manifest(*lines))


def test_files_that_are_none(manifest, tmp_path):
    with pytest.raises(VidferError, match="cannot be read: No such file"):
        find_manifest(tmp_path / "none.csv")
    file = manifest("path,label", "3.wav,fear")
    file.write_bytes(b"path,label\n\xff\xfe,fear\n")
    with pytest.raises(VidferError, match="is no CSV file in UTF-8"):
        find_manifest(file)


def facts(clips):
    return [(clip.name, clip.label, clip.person, clip.split) for clip in clips]


def test_a_folder_per_class_in_common_forms(tree):
    root = tree("Happiness/1.mp4", "sad/anna/2.mp4", "sad/anna/day1/3.mp4", "surprised/4.wav", "notes/readme.txt")
    clips, report = find_folders(root)
    assert facts(clips) == [
        ("1.mp4", "happy", None, None),
        ("2.mp4", "sad", "anna", None),
        ("3.mp4", "sad", "anna", None),
        ("4.wav", "surprise", None, None),
    ]
    assert report.dropped == {}


def test_folders_of_splits(tree):
    root = tree("train/happy/1.mp4", "Validation/happy/ben/1.mp4", "test/anger/2.mp4", "train/lost.mp4", "fear/3.mp4")
    clips, report = find_folders(root)
    assert sorted(facts(clips)) == [
        ("2.mp4", "angry", None, "test"),
        ("3.mp4", "fear", None, None),
        ("Validation/happy/ben/1.mp4", "happy", "ben", "val"),
        ("train/happy/1.mp4", "happy", None, "train"),
    ]
    assert report.dropped == {"in no class's folder": ["lost.mp4"]}
    assert set(report.noted) == {"file name occurs twice"}


def test_an_unknown_class_is_an_error_with_a_remedy(tree):
    root = tree("happy/1.mp4", "contempt/2.mp4")
    with pytest.raises(VidferError, match=r"contempt: 'contempt' names no class: rename it to one of angry, .*move it"):
        find_folders(root)


def test_what_is_recognised(tree):
    assert is_folders(tree("a/happy/1.mp4") / "a")
    assert is_folders(tree("b/test/sadness/1.mp4") / "b")
    assert not is_folders(tree("c/holiday/1.mp4") / "c")


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
