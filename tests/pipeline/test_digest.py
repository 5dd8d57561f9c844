import os
import time

import blake3
import pytest

from vidfer.pipeline import digest as content
from vidfer.pipeline.digest import content_digest
from vidfer.pipeline.store import Store
from vidfer.types import ClipError, Status


@pytest.fixture
def hashed(monkeypatch):
    """Count how often a file's content is really read."""
    calls = []
    real = content.file_digest
    monkeypatch.setattr(content, "file_digest", lambda path: calls.append(path) or real(path))
    return calls


def age(path, seconds=10.0):
    then = time.time() - seconds
    os.utime(path, (then, then))


@pytest.fixture
def old_enough(monkeypatch):
    monkeypatch.setattr(content, "_RACY_SECONDS", -1.0)


def test_the_digest_is_blake3_and_remembered(tmp_path, hashed, old_enough):
    clip = tmp_path / "a.bin"
    clip.write_bytes(bytes(3_000_000) + b"x")
    store = Store(tmp_path / "store")
    expected = blake3.blake3(clip.read_bytes()).hexdigest()
    assert content_digest(clip, store) == expected
    assert content_digest(clip, Store(tmp_path / "store")) == expected
    assert len(hashed) == 1


def test_a_change_of_the_same_size_and_mtime_is_seen(tmp_path, hashed, old_enough):
    clip = tmp_path / "a.bin"
    clip.write_bytes(b"one")
    age(clip)
    store = Store(tmp_path / "store")
    first = content_digest(clip, store)
    stat = clip.stat()
    clip.write_bytes(b"two")
    os.utime(clip, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert content_digest(clip, store) != first


def test_a_file_just_written_is_not_remembered(tmp_path, hashed):
    clip = tmp_path / "a.bin"
    clip.write_bytes(b"one")
    store = Store(tmp_path / "store")
    content_digest(clip, store)
    content_digest(clip, store)
    assert len(hashed) == 2


def test_a_torn_memo_means_hashing_again(tmp_path, hashed, old_enough):
    clip = tmp_path / "a.bin"
    clip.write_bytes(b"one")
    store = Store(tmp_path / "store")
    first = content_digest(clip, store)
    for memo in (tmp_path / "store" / "memo").iterdir():
        memo.write_bytes(memo.read_bytes()[:10])
    assert content_digest(clip, store) == first
    assert len(hashed) == 2


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo"])
def test_what_is_no_readable_file_is_unreadable(tmp_path, kind):
    path = tmp_path / "x"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    with pytest.raises(ClipError) as caught:
        content_digest(path, Store(tmp_path / "store"))
    assert caught.value.status is Status.UNREADABLE


def test_a_folder_of_numbered_pictures_is_known_by_numbers_and_contents_alone(tmp_path, hashed, old_enough):
    store = Store(tmp_path / "store")

    def take(folder, pictures):
        folder.mkdir()
        for name, data in pictures.items():
            (folder / name).write_bytes(data)
        return content_digest(folder, store)

    big = bytes(70_000)
    first = take(tmp_path / "a", {"f_09.png": b"one", "f_10.png": big, "notes.txt": b"x", ".f_11.png": b"x"})
    assert take(tmp_path / "b", {"shot9.png": b"one", "shot10.png": big}) == first
    assert take(tmp_path / "c", {"f_1.png": b"one", "f_2.png": big}) == first
    assert take(tmp_path / "d", {"f_1.png": b"one", "f_3.png": big}) != first  # later
    assert take(tmp_path / "e", {"f_1.png": big, "f_2.png": b"one"}) != first
    assert take(tmp_path / "f", {"f_1.png": b"one", "f_2.png": big, "f_3.png": b"three"}) != first
    hashed.clear()
    assert content_digest(tmp_path / "a", store) == first
    assert hashed == []  # it is remembered
    (tmp_path / "a" / "f_09.png").write_bytes(b"two")
    assert content_digest(tmp_path / "a", store) != first


@pytest.mark.parametrize("names", [[], ["a.png"], ["a1.png", "b2.png"]])
def test_any_other_folder_is_unreadable(tmp_path, names):
    (tmp_path / "folder").mkdir()
    for name in names:
        (tmp_path / "folder" / name).write_bytes(b"")
    with pytest.raises(ClipError) as told:
        content_digest(tmp_path / "folder", Store(tmp_path / "store"))
    assert told.value.status is Status.UNREADABLE
