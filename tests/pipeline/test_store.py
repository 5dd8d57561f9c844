import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from vidfer.pipeline.digest import dump_json, recipe_key
from vidfer.pipeline.store import MANIFEST, Artifact, Store, StoreError, default_store
from vidfer.types import Status, VidferError

RECIPE = {"stage": "thing", "params": {"b": 1, "a": [1.5, None]}}
KEY = recipe_key(RECIPE)


def put(store: Store, value: int = 7) -> Artifact:
    with store.draft("thing", KEY) as draft:
        draft.write_arrays("x.safetensors", {"x": np.arange(value, dtype=np.float32)})
        draft.write_json("y.json", {"value": value})
        return store.publish(draft.seal(RECIPE, meta={"n": value}))


def test_key_is_the_sha256_of_canonical_json():
    text = '{"params":{"a":[1.5,null],"b":1},"stage":"thing"}'
    assert hashlib.sha256(text.encode()).hexdigest() == KEY
    assert recipe_key({"params": {"a": [1.5, None], "b": 1}, "stage": "thing"}) == KEY


def test_what_is_put_is_found(tmp_path):
    put(Store(tmp_path))
    found = Store(tmp_path).find("thing", KEY)
    assert found is not None
    assert found.path == tmp_path / "thing" / KEY[:2] / KEY
    assert found.arrays("x.safetensors")["x"].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert found.json("y.json") == {"value": 7}
    assert (found.status, found.meta["n"], found.names()) == (Status.OK, 7, ["x.safetensors", "y.json"])
    assert list((tmp_path / "tmp").iterdir()) == []


def test_parts_of_a_file_of_arrays_are_read(tmp_path):
    store, table = Store(tmp_path), np.arange(12, dtype=np.uint8).reshape(4, 3)
    with store.draft("thing", KEY) as draft:
        draft.write_arrays("x.safetensors", {"x": table, "y": table[:2]})
        made = store.publish(draft.seal(RECIPE))
    assert made.rows("x.safetensors", "x", np.array([1, 3])).tolist() == [[3, 4, 5], [9, 10, 11]]
    assert {name: each.tolist() for name, each in made.arrays("x.safetensors", only=("y",)).items()} == {
        "y": [[0, 1, 2], [3, 4, 5]]
    }


def test_equal_artifacts_are_equal_bytes(tmp_path):
    folders = [put(Store(tmp_path / name)).path for name in ("a", "b")]
    files = [sorted(path.name for path in folder.iterdir()) for folder in folders]
    assert files[0] == files[1] == ["manifest.json", "x.safetensors", "y.json"]
    for name in files[0]:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_an_unfinished_draft_leaves_nothing(tmp_path):
    store = Store(tmp_path)
    with store.draft("thing", KEY) as draft:
        draft.write("x.bin", b"123")
    assert store.find("thing", KEY) is None
    assert list((tmp_path / "tmp").iterdir()) == []


def test_losing_the_race_is_success(tmp_path):
    store = Store(tmp_path)
    with store.draft("thing", KEY) as slow:
        slow.write_json("y.json", {"value": 7})
        sealed = slow.seal(RECIPE)
        winner = put(store)
        assert store.publish(sealed).path == winner.path
    assert store.find("thing", KEY).names() == ["x.safetensors", "y.json"]


def test_losing_the_race_to_a_damaged_artifact_replaces_it(tmp_path):
    store = Store(tmp_path)
    with store.draft("thing", KEY) as slow:
        slow.write_json("y.json", {"value": 7})
        sealed = slow.seal(RECIPE)
        (put(Store(tmp_path)).path / "y.json").write_bytes(b'{"value": 8}')
        store.publish(sealed)
    assert store.find("thing", KEY).json("y.json") == {"value": 7}
    assert len(list((tmp_path / "quarantine").iterdir())) == 1


@pytest.mark.parametrize("name", ["x.safetensors", "y.json", MANIFEST])
def test_every_flipped_byte_is_found(tmp_path, name):
    path = put(Store(tmp_path)).path / name
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        assert Store(tmp_path).fault(path.parent), f"byte {position} of {name}"
    path.write_bytes(whole)
    assert Store(tmp_path).fault(path.parent) == ""


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / "y.json").unlink(),
        lambda folder: (folder / "z.json").write_text("{}"),
        lambda folder: (folder / MANIFEST).unlink(),
        lambda folder: (folder / "y.json").write_text("{}"),
        lambda folder: (folder / MANIFEST).write_bytes(b""),
        lambda folder: (folder / MANIFEST).write_bytes(b"[" * 100_000),
        lambda folder: (folder / MANIFEST).write_bytes(b"[]"),
        lambda folder: (folder / MANIFEST).write_bytes(b"\xff"),
        lambda folder: [(folder / "y.json").unlink(), (folder / "y.json").mkdir()],
        lambda folder: [(folder / "y.json").unlink(), (folder / "y.json").symlink_to("nowhere")],
        lambda folder: [(folder / "y.json").unlink(), (folder / "y.json").symlink_to("y.json")],
        lambda folder: [shutil.rmtree(folder), folder.write_text("a file")],
    ],
)
def test_a_damaged_artifact_is_quarantined_not_deleted(tmp_path, harm):
    folder = put(Store(tmp_path)).path
    harm(folder)
    store = Store(tmp_path)
    assert store.find("thing", KEY) is None
    assert ("thing", KEY) in store.quarantined
    assert not folder.exists()
    assert len(list((tmp_path / "quarantine").iterdir())) == 1
    put(store)
    assert store.find("thing", KEY) is not None


def test_sizes_are_checked_at_every_call(tmp_path):
    store = Store(tmp_path)
    folder = put(store).path
    assert store.find("thing", KEY)
    with (folder / "y.json").open("ab") as file:
        file.write(b" ")
    assert store.find("thing", KEY) is None


def test_an_artifact_that_is_not_to_be_read_has_its_sizes_checked_and_its_bytes_once_it_is(tmp_path):
    store = Store(tmp_path)
    file = put(Store(tmp_path)).path / "y.json"
    data = file.read_bytes()
    file.write_bytes(data.replace(b"7", b"8"))
    assert store.find("thing", KEY, to_read=False) is not None
    assert store.find("thing", KEY) is None
    put(store)
    file.write_bytes(data + b" ")
    assert store.find("thing", KEY, to_read=False) is None
    assert store.quarantined == {("thing", KEY)}


def test_an_artifact_in_anothers_place_is_refused(tmp_path):
    store = Store(tmp_path)
    other = store.path("other", KEY)
    shutil.copytree(put(store).path, other)
    assert store.find("other", KEY) is None


def test_nan_cannot_enter_a_recipe():
    with pytest.raises(ValueError, match="JSON"):
        dump_json({"x": float("nan")})


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_a_clear_error_and_leaves_nothing(tmp_path, monkeypatch):
    store = Store(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"is full.*vidfer cache gc.*run the same command again"):
        put(store)
    monkeypatch.undo()
    assert store.find("thing", KEY) is None
    put(store)
    assert store.find("thing", KEY)


def test_a_really_full_disk(tmp_path):
    """Bound the size of files by the kernel, in a process of its own."""
    code = """
        import resource, signal, sys
        from tests.pipeline.test_store import Store, put
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
        put(Store(sys.argv[1]), 100_000)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert "StoreError" in done.stderr
    assert "is full" in done.stderr
    assert Store(tmp_path).find("thing", KEY) is None


def test_a_read_only_store_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot be written.*--store"):
        put(Store(tmp_path / "file"))


def test_the_manifest_tells_sizes_and_digests(tmp_path):
    manifest = json.loads((put(Store(tmp_path)).path / MANIFEST).read_text())
    entry = next(entry for entry in manifest["files"] if entry["name"] == "y.json")
    assert entry["size"] == len('{"value": 7}')
    assert manifest["recipe"] == RECIPE


def test_a_sound_artifact_is_never_quarantined(tmp_path):
    """Two processes see the same damage; the slower one must not throw away what the faster one has mended."""
    store = Store(tmp_path)
    folder = put(store).path
    assert store.quarantine(folder) is False
    assert Store(tmp_path).find("thing", KEY)
    assert list((tmp_path / "quarantine").iterdir()) == []


def test_a_new_artifact_reads_like_a_stored_one(tmp_path):
    """Down to the order of entries, which reports write out."""
    fresh = put(Store(tmp_path))
    assert json.dumps(fresh.manifest) == json.dumps(Store(tmp_path).find("thing", KEY).manifest)


UNREADABLE = (errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM, errno.ESTALE, errno.EINTR)


@pytest.mark.parametrize("number", UNREADABLE)
@pytest.mark.parametrize("call", ["stat", "read_bytes", "scandir", "open"])
def test_what_cannot_be_read_is_no_damage(tmp_path, monkeypatch, number, call):
    """Whatever the reason and whichever file: it stays where it is, and the error names the file, reason and remedy."""
    folder = put(Store(tmp_path)).path
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    owner = os if call == "scandir" else Path
    real = getattr(owner, call)

    def fail(path, *args, **kwargs):
        if isinstance(path, Path) and folder in (path, path.parent):
            raise OSError(number, os.strerror(number), str(path))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(owner, call, fail)
    store = Store(tmp_path)
    attempts = [lambda: store.find("thing", KEY), lambda: store.fault(folder)]
    for attempt in attempts[:1] if call == "stat" else attempts:
        with pytest.raises(StoreError, match=rf"{folder}.* cannot be read \({os.strerror(number)}\).*--store"):
            attempt()
    monkeypatch.undo()
    assert store.find("thing", KEY) is not None
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not (tmp_path / "quarantine").exists()


LIMITED = """
    import os, resource, sys
    import blake3, safetensors.numpy
    from tests.pipeline.test_store import KEY, Store
    store = Store(sys.argv[1])
    if sys.argv[2] == "permission":
        if os.geteuid() == 0:
            os.setuid(65534)
    else:
        handles = [os.open("/dev/null", os.O_RDONLY)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (handles[0] + 1, handles[0] + 1))
    store.find("thing", KEY)
"""


@pytest.mark.parametrize(("limit", "reason"), [("permission", "Permission denied"), ("handles", "Too many open files")])
@pytest.mark.parametrize("name", ["x.safetensors", MANIFEST, ""])
def test_what_the_system_does_not_let_read_is_no_damage(tmp_path, limit, reason, name):
    tmp_path.chmod(0o755)
    for above in tmp_path.parents[:2]:
        above.chmod(0o755)
    folder = put(Store(tmp_path)).path
    if limit == "permission":
        (folder / name).chmod(0)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LIMITED), str(tmp_path), limit],
        capture_output=True,
        text=True,
        check=False,
    )
    (folder / name).chmod(0o755)
    assert f"cannot be read ({reason})" in done.stderr
    assert Store(tmp_path).find("thing", KEY) is not None
    assert not (tmp_path / "quarantine").exists()


def test_what_cannot_be_read_in_quarantine_goes_back(tmp_path, monkeypatch):
    store = Store(tmp_path)
    folder = put(store).path
    real = Path.read_bytes

    def fail(self):
        if "quarantine" in self.parts:
            raise OSError(errno.EIO, "Input/output error", str(self))
        return real(self)

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(StoreError, match="Input/output error"):
        store.quarantine(folder)
    assert store.find("thing", KEY) is not None


def test_the_default_store_is_named_or_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("VIDFER_STORE", str(tmp_path))
    assert default_store() == tmp_path
    monkeypatch.delenv("VIDFER_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert default_store() == tmp_path / "cache" / "vidfer"


def test_a_user_without_a_home_gets_the_remedy(monkeypatch):
    for name in ("VIDFER_STORE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(_):
        raise KeyError("uid not found")

    monkeypatch.setattr("pwd.getpwuid", unknown)
    with pytest.raises(VidferError, match=r"no home folder.*\$VIDFER_STORE"):
        default_store()


def test_a_rename_that_a_network_file_system_repeats_is_success(tmp_path, monkeypatch):
    real = Path.rename

    def lose_the_reply(self, target):
        real(self, target)
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(self))

    monkeypatch.setattr(Path, "rename", lose_the_reply)
    assert put(Store(tmp_path)).path.is_dir()
    monkeypatch.undo()
    assert Store(tmp_path).find("thing", KEY) is not None


def test_a_draft_that_was_removed_is_a_clear_error(tmp_path):
    store = Store(tmp_path)
    with store.draft("thing", KEY) as draft:
        sealed = draft.seal(RECIPE)
        shutil.rmtree(draft.path)
        with pytest.raises(StoreError, match="cannot be written"):
            store.publish(sealed)


@pytest.mark.parametrize("call", range(1, 22))
def test_a_crash_between_any_two_calls_leaves_a_whole_artifact_or_none(tmp_path, call):
    """Kill the writer in its n-th call of the system that changes the disk, then read and write again."""
    code = """
        import os, signal, sys
        from tests.pipeline.test_store import Store, put
        from vidfer.pipeline import artifact
        left = int(sys.argv[2])
        def deadly(real):
            def call(*args, **kwargs):
                global left
                left -= 1
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **kwargs)
            return call
        for name in ("fsync", "mkdir", "rename", "replace", "rmdir", "unlink", "open"):
            setattr(os, name, deadly(getattr(os, name)))
        artifact.write_synced = deadly(artifact.write_synced)
        put(Store(sys.argv[1]))
    """
    arguments = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path), str(call)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode in (0, -9), done.stderr
    store = Store(tmp_path)
    found = store.find("thing", KEY)
    assert found is None or found.names() == ["x.safetensors", "y.json"]
    assert store.quarantined == set()
    assert put(store).names() == ["x.safetensors", "y.json"]
