"""The folder of one clip."""

import pytest

from tests.results.fake import write
from vidfer.results.clip_folder import REPORT, FolderError, open_clip, replace_report
from vidfer.results.run import load_run
from vidfer.results.run_folder import rebuild


def test_a_page_may_be_made_again_and_nothing_else(tmp_path):
    write(tmp_path, "a.mp4", files={REPORT: b"first", "poster.jpg": b"picture"})
    clip = open_clip(tmp_path / "a.mp4")
    rebuild(tmp_path)
    replace_report(clip, b"second")
    found = load_run(tmp_path).clip("a.mp4")
    assert (found.token, found.table("clips").shape[0]) == (clip.token, 1)
    assert found.read(REPORT).startswith(b"second<!-- ")  # and its digest
    (clip.path / "poster.jpg").write_bytes(b"other")
    with pytest.raises(FolderError, match=r"poster\.jpg is not the one"):
        found.read("poster.jpg")
    write(tmp_path, "a.mp4", 0.25, files={REPORT: b"third"})
    replace_report(clip, b"of the results before")
    assert open_clip(clip.path).read(REPORT).startswith(b"third<!-- ")
    write(tmp_path, "a.mp4")
    assert not (clip.path / REPORT).exists()
