import errno
import stat
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from vidfer.pipeline import extras
from vidfer.pipeline.remote import Remote, read_place
from vidfer.pipeline.store import Store, StoreError, default_store
from vidfer.types import UsageError


@pytest.fixture
def remote():
    fsspec.filesystem("memory").store.clear()
    yield Remote("memory://bucket/prefix")
    fsspec.filesystem("memory").store.clear()


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("runs/store", Path("runs/store")),
        (Path("runs/store"), Path("runs/store")),
        ("file:///data/store", Path("/data/store")),
        ("C:/store", Path("C:/store")),
        ("s3://bucket/prefix/", Remote("s3://bucket/prefix")),
        ("gs://bucket", Remote("gs://bucket")),
    ],
)
def test_an_address_is_told_from_a_folder(place, found):
    assert read_place(place) == found


@pytest.mark.parametrize("place", [Path("s3://bucket/prefix"), "s3:/bucket/prefix"])
def test_an_address_that_lost_a_slash_is_refused(place):
    with pytest.raises(UsageError, match="give the address as the text 's3://bucket/prefix', with two slashes"):
        Store(place)


def test_an_address_without_a_place_is_refused():
    with pytest.raises(UsageError, match="s3:// names no place"):
        Store("s3://")


def test_a_file_address_is_a_folder_without_a_mirror(tmp_path, monkeypatch):
    store = Store(f"file://{tmp_path}/a")
    assert (store.root, store.remote, store.place) == (tmp_path / "a", None, str(tmp_path / "a"))
    monkeypatch.setenv("VIDFER_STORE", f"file://{tmp_path}/b")
    assert Store(default_store()).root == tmp_path / "b"


def test_the_variable_may_name_an_address(monkeypatch):
    monkeypatch.setenv("VIDFER_STORE", "memory://bucket/prefix")
    assert default_store() == "memory://bucket/prefix"


def test_each_address_has_a_private_mirror_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("VIDFER_MIRRORS", str(tmp_path))
    stores = [Store(f"memory://bucket/{name}") for name in ("a/b", "a-b", "A/b")]
    assert len({store.root for store in stores}) == 3
    assert {store.root.parent for store in stores} == {tmp_path}
    with stores[0].draft("thing", "0" * 64):
        pass
    assert stat.S_IMODE(stores[0].root.stat().st_mode) == 0o700
    stores[0].root.chmod(0o755)
    Store("memory://bucket/a/b")
    assert stat.S_IMODE(stores[0].root.stat().st_mode) == 0o700


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"the store s3://bucket/x needs s3fs.*pip install 'vidfer\[s3\]'"):
        Store("s3://bucket/x")
    with pytest.raises(UsageError, match="the store nosuch://bucket/x is of no kind that fsspec knows"):
        Store("nosuch://bucket/x")
    monkeypatch.setitem(sys.modules, "paramiko", None)
    with pytest.raises(UsageError, match=r"the store sftp://host/x cannot be used: .*paramiko"):
        Store("sftp://host/x")


def test_a_folder_imports_no_fsspec(tmp_path):
    code = (
        "import sys; from vidfer.pipeline.store import Store; "
        "Store(sys.argv[1]).find('x', '0' * 64); print('fsspec' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_objects_are_put_once_read_listed_and_deleted(remote):
    assert remote.create("a/x", b"1")
    assert not remote.create("a/x", b"2")
    assert remote.create("b", b"123")
    assert remote.read("a/x") == b"1"
    assert remote.read_all(["a/x", "nosuch", "b"]) == {"a/x": b"1", "b": b"123"}
    assert [(each.name, each.size) for each in remote.list()] == [("a/x", 1), ("b", 3)]
    assert [each.name for each in remote.list("a")] == ["a/x"]
    assert fsspec.filesystem("memory").cat("/bucket/prefix/b") == b"123"
    remote.delete(["a/x", "nosuch"])
    with pytest.raises(FileNotFoundError):
        remote.read("a/x")
    assert remote.version("a/x") is None


def test_a_version_changes_with_every_put(remote):
    remote.create("x", b"1")
    first = remote.version("x")
    assert remote.version("x") == first
    fsspec.filesystem("memory").pipe_file("/bucket/prefix/x", b"1")
    assert remote.version("x") != first


def test_a_probe_leaves_nothing(remote):
    assert remote.probe()
    assert remote.list() == []


def test_what_knows_no_conditional_put_is_asked_first_and_said(remote, monkeypatch, caplog):
    real = MemoryFileSystem.pipe_file

    def plain(self, path, value, mode="overwrite", **kwargs):
        if mode == "create":
            raise OSError(errno.ENOSYS, "A header you provided implies functionality that is not implemented")
        real(self, path, value)

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", plain)
    assert remote.create("x", b"1")
    assert not remote.create("x", b"2")
    assert remote.read("x") == b"1"
    assert "knows no conditional put" in caplog.text


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (PermissionError("Access Denied"), r"\(Access Denied\): see that these credentials may list"),
        (OSError("The server is busy"), r"\(The server is busy\): see that it can be reached"),
        (TimeoutError(), r"\(TimeoutError\): see that it can be reached"),
        (NotImplementedError(), r"give a store that can be written"),
    ],
)
def test_faults_of_the_other_side_are_one_sentence(remote, monkeypatch, error, says):
    def fail(*_args, **_more):
        raise error

    for name in ("cat_file", "pipe_file", "find", "put_file", "get_file", "rm_file", "info"):
        monkeypatch.setattr(MemoryFileSystem, name, fail)
    attempts = [
        lambda: remote.read("x"),
        lambda: remote.create("x", b""),
        remote.list,
        lambda: remote.send({"x": Path(__file__)}),
        lambda: remote.fetch({"x": Path("nosuch")}),
        lambda: remote.delete(["x"]),
        lambda: remote.version("x"),
    ]
    for attempt in attempts:
        with pytest.raises(StoreError, match=rf"the store memory://bucket/prefix cannot be \w+ .*{says}"):
            attempt()
