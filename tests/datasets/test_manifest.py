import pytest

from vidfer.datasets.manifest import find_manifest
from vidfer.types import VidferError


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
