import json
from contextlib import nullcontext
from dataclasses import replace

import pytest

from vidfer.types import VidferError
from vidfer.weights.files import SHIPPED, find_weights
from vidfer.weights.hub import SUFFIXES, pull, pulled, read_registry, record_of, shipped


def quiet(name):
    return nullcontext(lambda done, total: None)


def fetch(lab, name="net"):
    return pull(read_registry(lab.registry)[name], quiet)


def left(tmp_path):
    return sorted(path.name for path in (tmp_path / "pulled").iterdir())


def test_pulled_weights_are_found_by_name(lab, image_weights, tmp_path):
    lab.offer("net", image_weights)
    with pytest.raises(VidferError, match=r"no image weights 'net'.*vidfer weights list"):
        find_weights("image", "net")
    assert fetch(lab).path == tmp_path / "pulled/net.safetensors"
    assert find_weights("image", "net").read() == image_weights.read_bytes()
    assert left(tmp_path) == ["net.json", "net.pulled.json", "net.safetensors"]
    assert read_registry(str(record_of("net"))) == pulled() == read_registry(lab.registry)
    with pytest.raises(VidferError, match="of kind 'image', not 'audio'"):
        find_weights("audio", "net")


def test_a_cut_connection_is_continued_and_nothing_half_is_found(lab, image_weights, tmp_path):
    lab.offer("net", image_weights)
    lab.cut_after = 100_000  # more than the registry and the card have
    with pytest.raises(VidferError, match=r"broke off after 0.1 of 4.0 MB.*; what was fetched is kept, run the same"):
        fetch(lab)
    with pytest.raises(VidferError, match="no image weights 'net'"):
        find_weights("image", "net")
    assert pulled() == {}
    lab.cut_after = None
    fetch(lab)
    assert lab.requests[-1] == ("/w/net.safetensors", "bytes=100000-")
    assert [path for path, _ in lab.requests].count("/w/net.json") == 1
    assert find_weights("image", "net").read() == image_weights.read_bytes()


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_a_wrong_checksum_leaves_nothing_to_be_found(lab, image_weights, suffix):
    def other(entry):
        entry["sha256"][suffix] = "0" * 64

    lab.offer("net", image_weights, change=other)
    with pytest.raises(VidferError, match=r"holds a file of another sha256 than 0{64}: it was removed"):
        fetch(lab)
    with pytest.raises(VidferError, match="no image weights 'net'"):
        find_weights("image", "net")


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (b"{", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b"{}", "lacks kind"),
        ({"kind": "audio"}, "of kind 'audio', not 'image'"),
        ({"classes": 7}, "predicts 7; needed, in this order"),
    ],
)
def test_a_damaged_card_is_refused_before_the_tensors_are_fetched(lab, image_weights, tmp_path, card, message):
    place = image_weights.with_suffix(".json")
    text = card if isinstance(card, bytes) else json.dumps({**json.loads(place.read_text()), **card}).encode()
    place.write_bytes(text)
    lab.offer("net", image_weights)
    with pytest.raises(VidferError, match=f"{message}.*it was removed: whoever keeps the registry has to mend it"):
        fetch(lab)
    assert left(tmp_path) == []
    assert lab.requests[-1][0] == "/w/net.json"


def test_tensors_that_are_not_the_cards_are_removed(lab, image_weights, tmp_path):
    image_weights.write_bytes(image_weights.read_bytes() + b" ")
    lab.offer("net", image_weights)
    with pytest.raises(VidferError, match=r"is not the file that its card net.json describes; it was removed"):
        fetch(lab)
    assert left(tmp_path) == []


def test_what_is_there_is_never_overwritten(lab, image_weights, tmp_path):
    lab.offer("net", image_weights)
    fetch(lab)
    count = len(lab.requests)
    fetch(lab)
    assert [path for path, _ in lab.requests[count:]] == ["/registry.json"]
    (tmp_path / "pulled/net.safetensors").write_bytes(b"mine")
    with pytest.raises(VidferError, match=r"net.safetensors has the sha256 \w+, not \w+: delete it to fetch it anew"):
        fetch(lab)
    assert (tmp_path / "pulled/net.safetensors").read_bytes() == b"mine"


def test_shipped_names_cannot_be_taken(lab, image_weights):
    lab.offer("compact", image_weights)
    with pytest.raises(VidferError, match=r"'compact' ships with vidfer.*other weights need another name"):
        fetch(lab, "compact")
    assert [path for path, _ in lab.requests] == ["/registry.json"]


def test_registries_that_are_none_are_named(lab, tmp_path):
    lab.files["/registry.json"] = b"<html>"
    with pytest.raises(VidferError, match=r"the registry http://.*registry.json is no JSON"):
        read_registry(lab.registry)
    with pytest.raises(VidferError, match="answered 404"):
        read_registry(f"{lab.base}/none.json")
    lab.files["/registry.json"] = bytes(11_000_000)
    with pytest.raises(VidferError, match="the registry is larger than 10 MB"):
        read_registry(lab.registry)
    with pytest.raises(VidferError, match=r"none.json cannot be read: No such file"):
        read_registry(str(tmp_path / "none.json"))


def test_a_folder_that_cannot_be_written_is_named(lab, image_weights, tmp_path):
    (tmp_path / "pulled").write_text("a file")
    lab.offer("net", image_weights)
    with pytest.raises(VidferError, match=r"pulled.* cannot be read or written"):
        fetch(lab)


def test_shipped_weights_are_described_by_their_cards():
    entries = shipped()
    assert [(entry.kind, name) for name, entry in entries.items()] == [
        (kind, name) for kind, names in SHIPPED.items() for name in names
    ]
    for name, entry in entries.items():
        weights = find_weights(entry.kind, name)
        assert entry.size == sum(path.stat().st_size for path in weights.files)
        assert entry.licence
        assert entry.about.startswith("trained on ")
        assert "?" not in entry.about
        assert (entry.url, entry.here, entry.faults()) == ("", True, [])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_damage_of_what_was_pulled_is_found(lab, image_weights, tmp_path, suffix):
    lab.offer("net", image_weights)
    fetch(lab)
    [entry] = pulled().values()
    assert (entry.here, entry.faults()) == (True, [])
    path = tmp_path / f"pulled/net{suffix}"
    path.write_bytes(path.read_bytes()[:-1] + b" ")
    [fault] = entry.faults()
    assert f"{path} has the sha256" in fault
    path.unlink()
    assert not entry.here
    assert replace(entry, url="").here


SHA256 = "0123456789abcdef" * 4
ENTRY = {
    "kind": "image", "licence": "MIT", "about": "for a test", "url": "https://lab.example/w",
    "size": 12, "sha256": {".safetensors": SHA256, ".json": SHA256},
}  # fmt: skip


def read(tmp_path, content):
    place = tmp_path / "lab.json"
    place.write_bytes(content if isinstance(content, bytes) else json.dumps({"weights": content}).encode())
    return read_registry(str(place))


def test_an_entry_has_the_size_of_both_files(tmp_path):
    assert read(tmp_path, {"net": ENTRY})["net"].size == 12


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b"[]", b"{}", b'{"weights": []}', b'{"weights": 1}']
)
def test_what_is_no_registry_is_refused(tmp_path, content):
    with pytest.raises(VidferError, match=r"the registry .*lab.json (is no JSON|has no table 'weights')"):
        read(tmp_path, content)


@pytest.mark.parametrize(
    "name", ["../net", "a/b", "a\\b", "net.pt", "net.safetensors", "", ".net", "-net", "n" * 101, "nét"]
)
def test_names_that_could_be_files_are_refused(tmp_path, name):
    with pytest.raises(VidferError, match="needs a name of letters, digits, - and _"):
        read(tmp_path, {name: ENTRY})


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "text"},
        *({key: value} for key in ("kind", "licence", "about", "url") for value in (None, 5)),
        {"url": "file:///etc/passwd"},
        {"sha256": None},
        {"sha256": {".pt": SHA256, ".json": SHA256}},
        {"sha256": {".json": SHA256}},
        {"sha256": {".safetensors": SHA256, ".json": 5}},
        {"sha256": {".safetensors": "0" * 63, ".json": SHA256}},
        {"sha256": {".safetensors": "g" * 64, ".json": SHA256}},
        {"size": True},
        {"size": 0},
        {"size": None},
    ],
)
def test_entries_that_lack_something_are_named(tmp_path, change):
    with pytest.raises(
        VidferError, match=r"lab.json is not usable: 'net' needs .* the texts kind, licence, about, url"
    ):
        read(tmp_path, {"fine": ENTRY, "net": {**ENTRY, **change}})


def test_an_entry_that_is_no_table_is_named(tmp_path):
    with pytest.raises(VidferError, match="'net' needs"):
        read(tmp_path, {"net": 5})


def test_a_record_that_cannot_be_written_is_named_and_the_weights_stay(lab, image_weights, tmp_path, monkeypatch):
    lab.offer("net", image_weights)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vidfer.weights.hub.write_atomic", full)
    with pytest.raises(VidferError, match=r"net.pulled.json cannot be written: No space left"):
        fetch(lab)
    monkeypatch.undo()
    monkeypatch.setenv("VIDFER_WEIGHTS", str(tmp_path / "pulled"))
    fetch(lab)
    assert list(pulled()) == ["net"]
