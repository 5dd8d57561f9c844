"""Files that change while they are read or keep their times, clocks that are set back, and folders that are none."""

import os
import shutil
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.faults.command import tree, vidfer
from tests.faults.disk import elsewhere
from tests.faults.storm import CHAIN, Read
from vidfer.api.folders import result_folders
from vidfer.api.parts import _changed
from vidfer.cli.main import main
from vidfer.datasets.photos import read_files
from vidfer.pipeline.atomic import results_folder
from vidfer.pipeline.digest import content_digest, file_digest
from vidfer.pipeline.runner import finished
from vidfer.pipeline.store import Store, StoreError
from vidfer.stages.faces import FacesStage
from vidfer.types import ClipError, Status, VidferError

DAY = 86_400.0


def touch(path, seconds):
    os.utime(path, (seconds, seconds))


def replaced(clip):
    clip.with_name("new").write_bytes(clip.read_bytes()[::-1])
    clip.with_name("new").replace(clip)


def truncated(clip):
    with clip.open("r+b") as file:
        file.truncate(clip.stat().st_size // 2)


def appended(clip):
    with clip.open("ab") as file:
        file.write(b"x" * 100)


def rewritten(clip):
    """The same size and time, other bytes."""
    stamp, data = clip.stat().st_mtime_ns, clip.read_bytes()
    with clip.open("r+b") as file:
        file.write(data[::-1])
    os.utime(clip, ns=(stamp, stamp))


CHANGES = (replaced, truncated, appended, rewritten, Path.unlink)


@pytest.fixture
def remembering(monkeypatch):
    """Digests of files that were touched just now are remembered, too: what changes afterwards is told by its identity alone."""
    monkeypatch.setattr("vidfer.pipeline.digest._RACY_SECONDS", -1e12)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("stamp", [0.0, -1e9, 4e9])
def test_a_clip_that_changes_between_runs_is_read_again(tmp_path, remembering, change, stamp):
    clip, store = tmp_path / "clip.bin", Store(tmp_path / "store")
    clip.write_bytes(np.random.default_rng(0).bytes(5_000))
    touch(clip, stamp)
    before = content_digest(clip, store)
    assert content_digest(clip, store) == before
    change(clip)
    if not clip.exists():
        with pytest.raises(ClipError, match="is missing"):
            content_digest(clip, store)
        return
    assert content_digest(clip, store) == file_digest(clip) != before


@pytest.mark.parametrize("change", CHANGES)
def test_of_a_clip_that_changes_while_it_is_read_nothing_is_kept(tmp_path, remembering, monkeypatch, change):
    clip, store, run = tmp_path / "clip.bin", Store(tmp_path / "store"), Read.run
    clip.write_bytes(np.random.default_rng(0).bytes(5_000))

    def changing(self, clip, *rest):
        outcome = run(self, clip, *rest)
        change(clip)
        return outcome

    monkeypatch.setattr(Read, "run", changing)
    with finished(CHAIN, "read", clip, store) as artifact:
        assert artifact.status is Status.UNREADABLE
    assert not list(store.folders())
    monkeypatch.setattr(Read, "run", run)
    if clip.exists():
        with finished(CHAIN, "sum", clip, store) as artifact:
            assert artifact.json("total.json")["n"] == clip.stat().st_size


def test_hard_links_are_one_content_and_part_when_one_is_replaced(tmp_path, remembering):
    one, other, store = tmp_path / "one", tmp_path / "other", Store(tmp_path / "store")
    one.write_bytes(b"a" * 1000)
    other.hardlink_to(one)
    assert content_digest(one, store) == content_digest(other, store)
    appended(one)
    assert content_digest(one, store) == content_digest(other, store) == file_digest(other)
    other.with_name("new").write_bytes(b"b" * 1100)
    other.with_name("new").replace(other)
    assert content_digest(other, store) == file_digest(other) != content_digest(one, store)


def test_a_row_of_a_manifest_from_a_time_to_come_is_checked_by_content(tmp_path):
    """The clip was replaced after the clock was set back, so that its times are older than its row."""
    import pyarrow as pa

    clip, store = tmp_path / "clip.bin", Store(tmp_path / "store")
    clip.write_bytes(b"a" * 1000)
    at = pa.array([int((time.time() + DAY) * 1e6)], pa.timestamp("us", "UTC"))
    rows = pa.table({"path": [str(clip)], "source_blake3": [file_digest(clip)], "analyzed_at": at, "elapsed_s": [1.0]})
    assert not _changed(rows, store)
    clip.write_bytes(b"b" * 1000)
    assert _changed(rows, store)


def test_a_photograph_that_keeps_its_time_is_decoded_again(tmp_path, monkeypatch):
    monkeypatch.setattr("vidfer.datasets.photos._MEMORY", 0)
    photo = tmp_path / "a.png"
    for value in (10, 200):
        cv2.imwrite(str(tmp_path / "new.png"), np.full((64, 64, 3), value, np.uint8))
        (tmp_path / "new.png").replace(photo)
        touch(photo, 1e9)
        for _ in range(2):
            (read,) = read_files([photo], tmp_path, smallest=8)[0].values()
            assert int(np.asarray(read[:2, :2]).max()) == value
    assert list((tmp_path / ".decoded").iterdir())


def as_file(path):
    path.write_text("x")


def as_dangling_link(path):
    path.symlink_to(path.with_name("nowhere") / "deep")


def as_loop(path):
    path.symlink_to(path)


@pytest.mark.parametrize("inside", ["", "tmp", "read", "sum"])
@pytest.mark.parametrize("make", [as_file, as_dangling_link, as_loop])
def test_a_store_that_is_no_folder_is_refused(tmp_path, make, inside):
    clip, root = tmp_path / "clip.bin", tmp_path / "store"
    clip.write_bytes(b"abc" * 100)
    if inside:
        root.mkdir()
    make(root / inside)
    with pytest.raises(StoreError, match=r"store.*--store"), finished(CHAIN, "sum", clip, Store(root)):
        pass


@pytest.mark.parametrize("make", [as_file, as_dangling_link, as_loop])
def test_results_whose_folder_is_none_are_refused(tmp_path, make):
    make(tmp_path / "out")
    with pytest.raises(VidferError, match="is a file, or a link that leads nowhere"), results_folder(tmp_path / "out"):
        pass


@pytest.fixture(scope="module")
def alone(clip, tmp_path_factory):
    """Artifacts of an undisturbed run."""
    folder = tmp_path_factory.mktemp("alone")
    assert main(["analyze", str(clip), "--store", str(folder / "store"), "--out", str(folder / "out"), "-q"]) == 0
    return tree_of_artifacts(folder / "store")


def tree_of_artifacts(store):
    return {name: data for name, data in tree(store).items() if not name.startswith("memo/")}


@pytest.mark.slow
@pytest.mark.parametrize("step", [-DAY, -3.0, DAY])
def test_a_clock_that_is_set_during_a_run_changes_no_result(clip, alone, tmp_path, monkeypatch, step):
    now, calls = time.time, iter(range(1_000_000))
    monkeypatch.setattr(time, "time", lambda: now() + (step if next(calls) > 0 else 0.0))
    words = ["analyze", str(clip), "--store", str(tmp_path / "store"), "--out", str(tmp_path / "out"), "-q"]
    assert main(words) == 0
    assert next(calls) > 2
    assert tree_of_artifacts(tmp_path / "store") == alone
    assert main(words) == 0
    assert not list((tmp_path / "store" / "quarantine").glob("*"))


@pytest.mark.slow
@pytest.mark.parametrize("change", [replaced, truncated, appended, rewritten, Path.unlink])
def test_a_clip_that_changes_during_a_run_is_named_and_right_the_next_time(clip, tmp_path, monkeypatch, capsys, change):
    mine, run = tmp_path / "clip.mp4", FacesStage.run
    shutil.copy(clip, mine)

    def changing(self, clip, *rest):
        outcome = run(self, clip, *rest)
        change(clip)
        return outcome

    monkeypatch.setattr(FacesStage, "run", changing)
    words = ["analyze", str(mine), "--store", str(tmp_path / "store"), "--out", str(tmp_path / "out"), "-q"]
    assert main(words) == 1
    assert "unreadable" in capsys.readouterr().err
    assert not list((tmp_path / "store" / "faces").glob("*/*"))
    monkeypatch.setattr(FacesStage, "run", run)
    if mine.exists():
        fresh = ["analyze", str(mine), "--store", str(tmp_path / "fresh"), "--out", str(tmp_path / "out2"), "-q"]
        assert main(words) == main(fresh)
        here, there = (tree_of_artifacts(tmp_path / name) for name in ("store", "fresh"))
        assert there.items() <= here.items()


@pytest.mark.slow
def test_store_results_and_temporary_files_on_three_devices_give_the_same(clip, alone, tmp_path, figure):
    with elsewhere(tmp_path) as folder:
        (folder / "tmp").mkdir()
        words = ["analyze", clip, "--store", folder / "store", "--out", tmp_path / "out", "--overlay"]
        done = vidfer(*words, env={**os.environ, "TMPDIR": str(folder / "tmp")})
        assert done.returncode == 0, done.stderr
        assert tree_of_artifacts(folder / "store") == alone
        done = vidfer("analyze", clip, "--store", tmp_path / "store", "--out", folder / "out", "--overlay")
        assert done.returncode == 0, done.stderr
        assert tree_of_artifacts(tmp_path / "store") == alone
        assert not list((folder / "tmp").iterdir())
    figure(f"2 runs with store, results and temporary files on 2 devices: the same {len(alone)} files of artifacts")


def test_names_that_differ_in_case_alone_get_folders_of_their_own(tmp_path):
    """Always, where names are told by case, and by a number where they are not, which the lock's other name shows."""
    clips = [(tmp_path / "in" / name, Path(name)) for name in ("A.mp4", "a.mp4", "\u00e9.mp4", "e\u0301.MP4")]
    for path, _ in clips:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    run = tmp_path / "out"
    run.mkdir()
    (run / ".vidfer.lock").touch()
    if not (run / ".VIDFER.LOCK").exists():
        names = [folder.name for folder in result_folders(clips, run).values()]
        assert names == ["A.mp4", "a.mp4", "\u00e9.mp4", "e\u0301.MP4"]
        (run / ".VIDFER.LOCK").touch()
    names = [folder.name for folder in result_folders(clips, run).values()]
    assert names == ["A.mp4", "a.mp4-2", "\u00e9.mp4", "e\u0301.MP4-2"]


@pytest.mark.slow
def test_hard_links_have_results_of_their_own(clip, tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    shutil.copy(clip, folder / "one.mp4")
    (folder / "two.mp4").hardlink_to(folder / "one.mp4")
    assert main(["analyze", str(folder), "--store", str(tmp_path / "store"), "--out", str(tmp_path / "out"), "-q"]) == 0
    assert len(list((tmp_path / "out").rglob("summary.json"))) == 2
    assert len(list((tmp_path / "store" / "report").glob("*/*"))) == 1
