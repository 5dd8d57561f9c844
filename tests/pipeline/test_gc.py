import errno
import os
import shutil
import time
from pathlib import Path

import pytest

from tests.toy import Count, Largest
from vidfer.pipeline.digest import content_digest
from vidfer.pipeline.gc import derived_from, entries, last_written, leftovers, removable, remove, usage, verify
from vidfer.pipeline.runner import finished
from vidfer.pipeline.store import StoreError


@pytest.fixture
def store(toy_store):
    return toy_store


def test_a_sound_store_has_no_faults(store):
    assert [entry.stage for entry in entries(store)] == ["count", "count", "largest", "largest"]
    assert verify(store) == (4, [])


def test_verify_quarantines_what_is_damaged(store):
    folder = entries(store)[0].path
    (folder / "counts.safetensors").write_bytes(b"")
    _, [(damaged, fault)] = verify(store)
    assert damaged == folder
    assert "counts.safetensors has 0 bytes" in fault
    assert verify(store) == (3, [])
    assert len(leftovers(store)) >= 1


def test_purging_a_clip_takes_what_was_derived_from_it(store, clips):
    doomed = derived_from(store, [content_digest(clips[0], store)])
    assert sorted(entry.stage for entry in doomed) == ["count", "largest"]
    remove(store, doomed)
    assert len(entries(store)) == 2
    with finished((Count(), Largest()), "largest", clips[1], store) as kept:
        assert kept.names() == ["predictions.json"]


def test_only_the_old_is_removable(store):
    assert removable(store, 3600) == []
    draft = store.root / "tmp" / f"count-1-{'0' * 32}"
    draft.mkdir()
    (draft / "crops.safetensors").write_bytes(b"123")
    old = entries(store)[0]
    then = time.time() - 7200
    for path in (draft, old.path):
        os.utime(path, (then, then))
    doomed = removable(store, 3600)
    assert {entry.path for entry in doomed} == {draft, old.path}
    remove(store, doomed)
    assert not draft.exists()
    assert len(entries(store)) == 3


def test_what_is_not_ours_is_left_alone(store, clips):
    """A store in a folder that holds other things: no verb may touch them."""
    others = [store.root / name for name in ("src/en/a.py", "locale/de/messages.po", "tmp/precious", "memo/notes.json")]
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    assert verify(store) == (4, [])
    remove(store, [*entries(store), *leftovers(store), *removable(store, -1), *derived_from(store, ["x"])])
    assert all(path.read_text() == "mine" for path in others)
    assert entries(store) == []


def test_purging_spares_drafts_that_are_being_written(store, clips):
    with store.draft("count", "0" * 64) as draft:
        draft.write("x", b"1")
        remove(store, derived_from(store, [content_digest(clips[0], store)]))
        assert (draft.path / "x").exists()


def test_verify_goes_on_after_what_cannot_be_read_and_leaves_it(store, monkeypatch):
    unreadable, damaged = [entry.path for entry in entries(store)[:2]]
    (damaged / "counts.safetensors").write_bytes(b"")
    real = Path.read_bytes

    def fail(self):
        if self.parent == unreadable:
            raise OSError(errno.EIO, "Input/output error", str(self))
        return real(self)

    monkeypatch.setattr(Path, "read_bytes", fail)
    faults = dict(verify(store)[1])
    assert set(faults) == {unreadable, damaged}
    assert "Input/output error" in faults[unreadable]
    assert "quarantine" not in faults[unreadable]
    assert "moved to quarantine" in faults[damaged]
    monkeypatch.undo()
    assert unreadable.exists()
    assert not damaged.exists()
    assert verify(store) == (3, [])


def test_usage_counts_by_stage(store):
    sizes = {entry.path: entry.size for entry in entries(store)}
    found = usage(entries(store))
    assert {stage: count for stage, (count, _) in found.items()} == {"count": 2, "largest": 2}
    assert sum(size for _, size in found.values()) == sum(sizes.values())
    assert sizes[entries(store)[0].path] == sum(path.stat().st_size for path in entries(store)[0].path.iterdir())


@pytest.mark.parametrize("number", [errno.EACCES, errno.EMFILE, errno.EIO])
def test_what_cannot_be_listed_is_named(store, monkeypatch, number):
    closed = entries(store)[1].path
    real = Path.iterdir

    def fail(self):
        if self == closed:
            raise OSError(number, os.strerror(number), str(self))
        return real(self)

    monkeypatch.setattr(Path, "iterdir", fail)
    with pytest.raises(StoreError, match=rf"{closed} cannot be read \({os.strerror(number)}\)"):
        entries(store)


@pytest.mark.parametrize("text", [b"", b"[]", b"5", b"{}", b"[" * 100_000, b"\xff", b'{"seal": "x", "recipe": 5}'])
def test_a_damaged_manifest_is_listed_and_purged_with_any_clip(store, clips, text):
    """Nobody knows any more whose faces it holds."""
    damaged = next(entry for entry in entries(store) if entry.recipe["source"] == content_digest(clips[1], store))
    (damaged.path / "manifest.json").write_bytes(text)
    assert [entry.status for entry in entries(store)].count("unreadable") == 1
    doomed = derived_from(store, [content_digest(clips[0], store)])
    assert damaged.path in [entry.path for entry in doomed]
    remove(store, doomed)
    assert [entry.stage for entry in entries(store)] == ["largest"]


@pytest.mark.parametrize("done", range(4))
def test_a_removal_that_was_broken_off_leaves_nothing_that_is_not_found_again(store, clips, done):
    """An artifact without its ancestors would be nobody's."""
    digest = [content_digest(clips[0], store)]
    first = derived_from(store, digest)
    assert [entry.stage for entry in first] == ["largest", "count"]
    remove(store, first[:done])
    rest = derived_from(store, digest)
    assert [entry.key for entry in rest] == [entry.key for entry in first[done:]]


@pytest.mark.parametrize("chosen", ["a", "nobody"])
def test_what_a_killed_process_was_removing_or_writing_goes_at_once(store, clips, monkeypatch, chosen):
    """Faces lie there, of whomever; that its process has ended is known on this machine, and needs no hour."""
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda path: os._exit(9))
        if (child := os.fork()) == 0:
            store.draft("faces", "0" * 64).__enter__().write("half", b"a face")
            try:
                remove(store, entries(store)[:1])
            finally:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert sorted(one.key.split("-")[0] for one in leftovers(store) if one.stage == "tmp") == ["faces", "removed"]
    source = content_digest(clips[0], store) if chosen == "a" else "x"
    remove(store, derived_from(store, [source]))
    assert [one for one in leftovers(store) if one.stage == "tmp"] == []
    with store.draft("count", "1" * 64) as mine:
        assert mine.path not in [one.path for one in derived_from(store, [source])]


def test_what_has_lost_its_ancestors_goes_with_any_clip(store, clips):
    count, other = (entry for entry in entries(store) if entry.stage == "count")
    remove(store, [count])
    orphans = [entry for entry in derived_from(store, ["x"], ("count", "largest")) if entry.stage == "largest"]
    assert [entry.recipe["inputs"]["count"] for entry in orphans] == [count.key]
    assert derived_from(store, ["x"]) == []
    assert set(last_written(store)) == {other.recipe["source"]}


def test_what_jobs_have_left_goes_by_the_age_of_their_logs(store, clips):
    """A job that still writes has its number kept, however long ago it was submitted; the lock and others' files stay."""
    folder = store.root / "jobs"
    folder.mkdir()
    names = ("a" * 64, "b" * 64, "c" * 64)
    for name in names:
        (folder / f"{name}.json").write_text('{"job": "1"}')
    for name in names[:2]:
        (folder / f"{name}.log").write_text("epoch 1")
    (folder / "lock").touch()
    (folder / "notes.log").write_text("mine")
    then = time.time() - 7200
    for path in folder.iterdir():
        os.utime(path, (then, then))
    os.utime(folder / f"{names[1]}.log")
    found = [entry for entry in leftovers(store) if entry.stage == "jobs"]
    assert usage(found) == {"jobs": (5, 3 * len('{"job": "1"}') + 2 * len("epoch 1"))}
    assert verify(store) == (4, [])
    doomed = removable(store, 3600)
    assert sorted(entry.key for entry in doomed) == [f"{names[0]}.json", f"{names[0]}.log", f"{names[2]}.json"]
    assert not [entry for entry in derived_from(store, [content_digest(clips[0], store)]) if entry.stage == "jobs"]
    remove(store, doomed)
    assert sorted(path.name for path in folder.iterdir()) == [
        f"{names[1]}.json",
        f"{names[1]}.log",
        "lock",
        "notes.log",
    ]
