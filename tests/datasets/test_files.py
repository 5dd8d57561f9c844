import os

import pytest

from vidfer.datasets.files import content_keys, file_fault, media_files
from vidfer.types import VidferError


def test_recordings_are_found_by_suffix_at_any_depth(tree, tmp_path):
    root = tree("b/c/2.MP4", "a.wav", "b/1.flv", "b/notes.txt")
    assert [path.relative_to(root).as_posix() for path in media_files(root)] == ["a.wav", "b/1.flv", "b/c/2.MP4"]
    with pytest.raises(VidferError, match="no folder"):
        media_files(tmp_path / "none")


def test_faults_that_show_without_decoding(tree):
    root = tree("fine.mp4", "folder/x")
    tree("empty.mp4", content=b"")
    (root / "loop.mp4").symlink_to("loop.mp4")
    (root / "lost.mp4").symlink_to("elsewhere.mp4")
    assert [file_fault(root / name) for name in ("fine.mp4", "empty.mp4", "folder", "lost.mp4")] == [
        "",
        "empty file",
        "no regular file",
        "missing",
    ]
    assert file_fault(root / "loop.mp4")


def test_contents_are_equal_where_bytes_are(tree):
    root = tree("1", "3", content=b"one")
    tree("2", content=b"two")
    tree("4", content=b"four")
    one, two, three, four = content_keys(root / name for name in "1234")
    assert one == three
    assert len({one, two, four}) == 3
    (root / "3").write_bytes(b"two")
    os.utime(root / "3", ns=(1, 1))
    keys = content_keys(root / name for name in "123")
    assert keys[1] == keys[2] != keys[0]  # a file that was changed is read anew
    with pytest.raises(VidferError, match="none cannot be read: No such file"):
        content_keys([root / "none"])
