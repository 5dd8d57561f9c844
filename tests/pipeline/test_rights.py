import os
import stat

import pytest

from vidfer.pipeline.digest import content_digest
from vidfer.pipeline.store import Store, default_store

KEY = "ab" * 32


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def fill(root, clip):
    """Write an artifact, a memo and a quarantined artifact."""
    store = Store(root)
    for key in (KEY, "cd" * 32):
        with store.draft("thing", key) as draft:
            draft.write("crops.bin", b"faces")
            draft.clear()
            draft.write("crops.bin", b"faces")
            store.publish(draft.seal({}))
    store.path("thing", KEY).joinpath("crops.bin").write_bytes(b"other")
    assert Store(root).find("thing", KEY) is None
    os.utime(clip, (1, 1))
    content_digest(clip, store)


def modes(root):
    """Return the rights of the folders and of the files of a store, its own among them."""
    every = [root, *root.rglob("*")]
    assert len(every) > 10
    return tuple(
        {oct(stat.S_IMODE(each.stat().st_mode)) for each in every if each.is_dir() == folders}
        for folders in (True, False)
    )


def test_a_new_store_is_the_users_alone_whatever_the_umask(tmp_path, clips, umask):
    fill(tmp_path / "deep" / "store", clips[0])
    assert modes(tmp_path / "deep" / "store") == ({"0o700"}, {"0o600"})


def test_in_a_store_that_its_group_may_write_everything_is_the_groups(tmp_path, clips, umask):
    root = tmp_path / "store"
    root.mkdir()
    root.chmod(0o2770)
    fill(root, clips[0])
    assert modes(root) == ({"0o2770"}, {"0o660"})


def test_a_folder_that_was_there_keeps_its_rights_and_gives_no_more_than_them(tmp_path, clips):
    root = tmp_path / "store"
    root.mkdir()
    root.chmod(0o750)
    before = os.umask(0)
    try:
        fill(root, clips[0])
    finally:
        os.umask(before)
    assert modes(root) == ({"0o750"}, {"0o640"})


@pytest.mark.parametrize("named", [False, True])
def test_only_the_store_that_nobody_named_is_closed_to_others(tmp_path, monkeypatch, named):
    monkeypatch.delenv("VIDFER_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    root = tmp_path / "vidfer"
    root.mkdir()
    root.chmod(0o755)
    if named:
        monkeypatch.setenv("VIDFER_STORE", str(root))
    assert default_store() == root
    assert stat.S_IMODE(root.stat().st_mode) == (0o755 if named else 0o700)
