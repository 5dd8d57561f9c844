import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from vidfer.pipeline.atomic import replacing, results_folder, write_atomic
from vidfer.types import VidferError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_text_and_bytes_take_the_place_of_what_was_there(tmp_path):
    place = tmp_path / "summary.csv"
    for content in ("é\n", b"\x00\x01", ""):
        write_atomic(place, content)
        assert place.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert names(tmp_path) == ["summary.csv"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("call", ["fsync", "replace", "open"])
def test_whatever_fails_the_old_content_stays_alone(tmp_path, monkeypatch, number, call):
    place = tmp_path / "summary.csv"
    place.write_text("old")

    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match=os.strerror(number)):
        write_atomic(place, "new")
    monkeypatch.undo()
    assert place.read_text() == "old"
    assert names(tmp_path) == ["summary.csv"]


def test_a_writer_that_breaks_off_leaves_the_old_content(tmp_path):
    place = tmp_path / "summary.csv"
    place.write_text("old")

    def break_off():
        with replacing(place) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert place.read_text() == "old"
    assert names(tmp_path) == ["summary.csv"]


def test_a_kill_leaves_the_old_content(tmp_path):
    place = tmp_path / "summary.csv"
    place.write_text("old")
    code = """
        import os, signal, sys
        from pathlib import Path
        from vidfer.pipeline import atomic
        atomic.os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
        atomic.write_atomic(Path(sys.argv[1]), "new" * 1000)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(place)], check=False)
    assert done.returncode == -9
    assert place.read_text() == "old"
    assert any(name.startswith(".vidfer-") for name in names(tmp_path))


def test_a_file_system_that_cannot_sync_folders_is_no_fault(tmp_path, monkeypatch):
    real = os.fsync

    def no_folders(handle):
        if Path(f"/proc/self/fd/{handle}").is_dir():
            raise OSError(errno.EINVAL, "Invalid argument")
        real(handle)

    monkeypatch.setattr(os, "fsync", no_folders)
    write_atomic(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new"


@pytest.mark.parametrize("place", ["file", "file/below", "file/below/deep"])
def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path, place):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(
            VidferError, match=r"^results cannot be written to .*/file.*\(.*\): give another folder by --out$"
        ),
        results_folder(tmp_path / place),
    ):
        pytest.fail("the work began")


def test_a_folder_that_may_not_be_written_is_found_before_the_work(tmp_path, monkeypatch):
    def refuse(**_):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "tmpabc"))

    monkeypatch.setattr("vidfer.pipeline.atomic.TemporaryFile", refuse)
    with pytest.raises(VidferError, match=r"cannot be written to .* \(Permission denied\)"), results_folder(tmp_path):
        pytest.fail("the work began")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO])
def test_a_disk_that_fills_in_the_block_is_one_sentence(tmp_path, number):
    with pytest.raises(VidferError, match="results cannot be written"), results_folder(tmp_path):
        raise OSError(number, os.strerror(number))


def test_errors_about_other_files_are_not_blamed_on_the_results(tmp_path):
    for error in (FileNotFoundError(errno.ENOENT, "none", "/elsewhere/x"), BrokenPipeError(errno.EPIPE, "pipe")):
        with pytest.raises(type(error)), results_folder(tmp_path / "out"):
            raise error
