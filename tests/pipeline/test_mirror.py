"""The promises of the store, kept at an address: here fsspec's memory, in test_s3.py a server."""

import json
import pickle
from datetime import timedelta

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from tests.pipeline.test_store import KEY, put
from tests.toy import RUNS, Count, Largest
from vidfer.cli.main import main
from vidfer.pipeline.digest import content_digest, dump_json, seal_of
from vidfer.pipeline.gc import derived_from, entries, far_entries, leftovers, removable, remove, verify
from vidfer.pipeline.mirror import is_due, quarantine
from vidfer.pipeline.remote import Remote
from vidfer.pipeline.runner import finished
from vidfer.pipeline.store import MANIFEST, Store, StoreError

ADDRESS = "memory://bucket/prefix"
FOLDER = f"thing/{KEY[:2]}/{KEY}"


class KilledError(BaseException):
    """Ends a writer where it stands: nothing in the library catches it."""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Open the store on a machine of that name, each with a mirror of its own."""
    fsspec.filesystem("memory").store.clear()

    def at(name):
        monkeypatch.setenv("VIDFER_MIRRORS", str(tmp_path / name))
        return Store(ADDRESS)

    yield at
    fsspec.filesystem("memory").store.clear()


def objects(store):
    return {each.name: store.remote.read(each.name) for each in store.remote.list()}


def test_what_one_machine_puts_another_finds(machine):
    made = put(machine("a"))
    found = machine("b").find("thing", KEY)
    assert found.path != made.path
    assert found.manifest == made.manifest
    for name in (*made.names(), MANIFEST):
        assert (found.path / name).read_bytes() == (made.path / name).read_bytes()
    names = sorted(name.rpartition("/")[2] for name in objects(machine("a")))
    digests = {entry["name"]: entry["blake3"] for entry in made.manifest["files"]}
    assert names == sorted([MANIFEST, *(f"{digest}-{name}" for name, digest in digests.items())])


def test_a_store_that_is_sent_to_another_machine_has_its_mirror_there(machine, tmp_path):
    sent = pickle.dumps(machine("a"))
    machine("b")
    assert pickle.loads(sent).root.parent == tmp_path / "b"


def test_what_the_mirror_has_asks_for_nothing(machine, monkeypatch):
    put(machine("a"))
    store = machine("b")
    store.find("thing", KEY)

    def refuse(*_):
        raise AssertionError("the other side was asked")

    monkeypatch.setattr(Remote, "_files", refuse)
    assert store.find("thing", KEY) is not None
    assert machine("b").find("thing", KEY) is not None


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_kill_at_any_put_leaves_a_whole_artifact_or_none_and_the_next_run_completes_it(
    machine, monkeypatch, call, when
):
    left = [call]

    def deadly(real):
        def run(*args, **kwargs):
            left[0] -= 1
            if not left[0] and when == "before":
                raise KilledError
            real(*args, **kwargs)
            if not left[0]:
                raise KilledError

        return run

    with monkeypatch.context() as patch:
        for name in ("put_file", "pipe_file"):
            patch.setattr(MemoryFileSystem, name, deadly(getattr(MemoryFileSystem, name)))
        with pytest.raises(KilledError):
            put(machine("a"))
    other = machine("b")
    found, complete = other.find("thing", KEY), (call, when) == (3, "after")
    assert (found is not None) == complete
    assert other.quarantined == set()
    assert [entry.stage for entry in far_entries(other)[1]] == (
        [] if complete or (call, when) == (1, "before") else ["uploads"]
    )
    again = machine("a")
    assert is_due(again, "thing", KEY)
    assert again.find("thing", KEY).names() == ["x.safetensors", "y.json"]
    assert not is_due(again, "thing", KEY)
    assert other.find("thing", KEY).json("y.json") == {"value": 7}
    assert far_entries(other)[1] == []


def test_of_two_writers_one_manifest_stands_and_both_go_on_with_it(machine, monkeypatch):
    slow, fast, real = machine("slow"), machine("fast"), Remote.create

    def late(self, name, data):
        monkeypatch.setattr(Remote, "create", real)
        put(fast, 5)
        return real(self, name, data)

    monkeypatch.setattr(Remote, "create", late)
    published = put(slow, 7)
    assert published.json("y.json") == {"value": 5}
    for store in (slow, fast, machine("third")):
        assert store.find("thing", KEY).arrays("x.safetensors")["x"].tolist() == [0, 1, 2, 3, 4]
        assert not is_due(store, "thing", KEY)
    artifacts, [lost] = far_entries(slow)
    assert [entry.status for entry in artifacts] == ["ok"]
    assert (lost.stage, len(lost.names)) == ("uploads", 2)
    remove(slow, removable(slow, -1)[-1:])
    assert machine("fourth").find("thing", KEY) is not None
    assert far_entries(slow)[1] == []


def flip(data):
    return bytes([data[0] ^ 1]) + data[1:]


def rename(data):
    """Name a file so that it would lie outside of the folder, with a seal that holds."""
    manifest = json.loads(data)
    manifest["files"][0]["name"] = "../x.safetensors"
    del manifest["seal"]
    return dump_json(manifest | {"seal": seal_of(manifest)})


HARM = {
    "a byte": ("y.json", flip), "an end": ("x.safetensors", lambda data: data[:-1]), "a file": ("y.json", None),
    "a seal": (MANIFEST, flip), "half a manifest": (MANIFEST, lambda data: data[:99]), "a manifest": (MANIFEST, lambda data: b""),
    "a folder": (MANIFEST, rename),
}  # fmt: skip


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("by", ["find", "verify"])
def test_a_damaged_artifact_goes_to_quarantine_and_is_put_anew(machine, harm, by):
    part, change = HARM[harm]
    put(machine("a"))
    store = machine("b")
    name = next(name for name in objects(store) if name.endswith(part))
    if change is None:
        store.remote.delete([name])
    else:
        MemoryFileSystem().pipe_file(f"/bucket/prefix/{name}", change(store.remote.read(name)))
    if harm == "a folder":  # the file that it names is there, and sound
        entry = json.loads(store.remote.read(name))["files"][0]
        whole = next(data for each, data in objects(store).items() if entry["blake3"] in each)
        MemoryFileSystem().pipe_file(f"/bucket/prefix/{FOLDER}/{entry['blake3']}-{entry['name']}", whole)
    before = sorted(objects(store).values())
    if by == "find":
        assert store.find("thing", KEY) is None
        assert store.quarantined == {("thing", KEY)}
    else:
        assert [folder.name for folder, _ in verify(store)[1]] == [KEY]
    assert all(name.startswith(f"quarantine/thing-{KEY}-") for name in objects(store))
    assert sorted(objects(store).values()) == before
    assert [entry.stage for entry in far_entries(store)[1]] == ["quarantine"]
    put(store)
    assert machine("c").find("thing", KEY).json("y.json") == {"value": 7}
    assert verify(store) == (2, [])
    assert list((store.root / "tmp").iterdir()) == []


def test_verify_lets_the_mirror_send_its_sound_copy(machine):
    store = machine("a")
    put(store)
    MemoryFileSystem().pipe_file(f"/bucket/prefix/{FOLDER}/{MANIFEST}", b"{}")
    assert verify(store)[1] != []
    assert machine("b").find("thing", KEY) is None
    assert store.find("thing", KEY) is not None
    assert machine("b").find("thing", KEY) is not None


def test_a_sound_artifact_is_never_quarantined(machine, monkeypatch):
    """Also not if another machine has mended it since its damage was seen."""
    store = machine("a")
    put(store)
    assert quarantine(store, store.remote, "thing", KEY) == ""
    other, real = machine("b"), Remote.fetch
    sound = objects(store)

    def mended(self, names):
        real(self, names)
        monkeypatch.setattr(Remote, "fetch", real)
        for name, data in sound.items():
            MemoryFileSystem().pipe_file(f"/bucket/prefix/{name}", data)

    name = next(name for name in sound if name.endswith("y.json"))
    MemoryFileSystem().pipe_file(f"/bucket/prefix/{name}", b"{}")
    monkeypatch.setattr(Remote, "fetch", mended)
    assert quarantine(other, other.remote, "thing", KEY) == ""
    assert objects(store) == sound


def test_a_damaged_copy_in_the_mirror_is_fetched_anew(machine):
    put(machine("a"))
    store = machine("b")
    (store.find("thing", KEY).path / "y.json").write_bytes(b"{}")
    assert machine("b").find("thing", KEY).json("y.json") == {"value": 7}
    assert len(list((store.root / "quarantine").iterdir())) == 1


def test_what_could_not_be_sent_stays_in_the_mirror_and_is_sent_later(machine, monkeypatch):
    def refuse(*_args, **_more):
        raise PermissionError("Access Denied")

    store = machine("a")
    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "put_file", refuse)
        with pytest.raises(StoreError, match=r"memory://bucket/prefix cannot be written \(Access Denied\)"):
            put(store)
    assert objects(store) == {}
    assert machine("a").find("thing", KEY) is not None
    assert machine("b").find("thing", KEY) is not None


def test_a_second_machine_computes_nothing(machine, clips):
    chain = (Count(), Largest())
    with finished(chain, "largest", clips[0], machine("a")) as first:
        pass
    RUNS.clear()
    with finished(chain, "largest", clips[0], machine("b")) as second:
        assert second.json("predictions.json") == first.json("predictions.json")
    assert RUNS == []


@pytest.fixture
def filled(machine, clips, monkeypatch):
    """Two machines that have analysed two clips, one each."""
    for name, clip in zip("ab", clips, strict=True):
        with finished((Count(), Largest()), "largest", clip, machine(name)):
            pass
    monkeypatch.setenv("VIDFER_STORE", ADDRESS)
    return machine("a")


def test_the_list_is_of_the_remote_store(filled, capsys):
    assert main(["cache", "list"]) == 0
    said = capsys.readouterr()
    assert [line.split("\t")[:2] for line in said.out.splitlines()] == [["count", "ok"]] * 2 + [["largest", "ok"]] * 2
    assert f"{ADDRESS}: 4 artifacts, " in said.err
    assert f"its mirror {filled.root}: 2 artifacts, " in said.err


def test_purge_removes_a_clip_from_the_remote_store_and_the_mirror(filled, clips, capsys):
    digest = content_digest(clips[0], filled)
    assert main(["purge", "--clip", str(clips[0])]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert sorted((row[0], row[-1]) for row in rows) == sorted(
        (stage, where) for stage in ("count", "largest") for where in ("mirror", "remote")
    )
    assert len(far_entries(filled)[0]) == 4
    assert main(["purge", "--clip", str(clips[0]), "--yes"]) == 0
    said = capsys.readouterr().out
    assert "Nothing is left there." in said
    assert f"mirrors of {ADDRESS} on other machines: run the same command there" in said
    assert entries(filled) == []
    artifacts, rest = far_entries(filled)
    kept = [entry.recipe["source"] for entry in artifacts]
    assert kept == [content_digest(clips[1], filled), None]
    assert rest == []
    assert all(digest.encode() not in data for data in objects(filled).values())


def test_purge_takes_what_nobody_can_tell_whose_it_is(filled, clips):
    """Quarantine, damaged manifests, and files without a manifest unless they may be on their way."""
    here = MemoryFileSystem()
    here.pipe_file(f"/bucket/prefix/quarantine/count-{'1' * 64}-{'2' * 8}/x", b"a face")
    here.pipe_file(f"/bucket/prefix/count/33/{'3' * 64}/{MANIFEST}", b"{}")
    here.pipe_file(f"/bucket/prefix/count/44/{'4' * 64}/x", b"on its way")
    here.pipe_file("/bucket/prefix/notes.txt", b"mine")
    doomed = derived_from(filled, ["x"])
    assert sorted(entry.key[-64:] for entry in doomed if entry.stage != "quarantine") == ["3" * 64]
    assert [entry.stage for entry in doomed].count("quarantine") == 1
    here.store[f"/bucket/prefix/count/44/{'4' * 64}/x"].created -= timedelta(hours=2)
    assert "4" * 64 in [entry.key[-64:] for entry in derived_from(filled, ["x"])]
    assert main(["purge", "--all", "--yes"]) == 0
    assert objects(filled) == {"notes.txt": b"mine"}
    assert [*entries(filled), *leftovers(filled)] == []


def test_a_purge_that_was_killed_between_two_objects_does_not_say_that_nothing_is_left(
    filled, clips, capsys, monkeypatch
):
    """The manifest goes first: what it named may be on its way for somebody else, for an hour."""
    real, left = MemoryFileSystem.rm_file, 1

    def die(self, path):
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        real(self, path)

    words = ["purge", "--clip", str(clips[0]), "--yes"]
    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "rm_file", die)
        main(words)
    assert main(words) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "files of no artifact, which somebody may be sending: run the same command in an hour" in said
    for each in MemoryFileSystem().store.values():
        each.created -= timedelta(hours=2)
    assert main(words) == 0


def test_gc_goes_by_age_in_both_and_in_the_mirror_alone_by_its_folder(filled):
    assert main(["cache", "gc", "--yes"]) == 0
    assert (len(far_entries(filled)[0]), len(entries(filled))) == (4, 2)
    assert main(["cache", "gc", "--older-than", "-1", "--yes", "--store", str(filled.root)]) == 0
    assert (len(far_entries(filled)[0]), len(entries(filled))) == (4, 0)
    assert main(["cache", "gc", "--older-than", "-1", "--yes"]) == 0
    assert objects(filled) == {}


def test_doctor_says_which_store(machine, capsys):
    from vidfer.stages.selfcheck import _write_store

    store = machine("a")
    said = _write_store(ADDRESS)
    assert said.startswith(f"{ADDRESS}, which refuses a second put of one name; mirror in {store.root}, ")
