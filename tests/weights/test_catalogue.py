import hashlib
import json
from pathlib import Path

import pytest

from vidfer.types import VidferError
from vidfer.weights import catalogue
from vidfer.weights.catalogue import CATALOGUE, parse_registry, refresh, shipped
from vidfer.weights.files import SHIPPED, find_weights


@pytest.fixture
def entry():
    file = {"size": 5, "sha256": "0123456789abcdef" * 4}
    words = {
        "kind": "image",
        "arch": "resnet18",
        "licence": "MIT",
        "about": "for a test",
        "url": "https://lab.example/w",
    }
    return {**words, "files": {".safetensors": file, ".json": {**file, "size": 7}}}


def parse(entry, name="net"):
    return parse_registry(json.dumps({"weights": {name: entry}}).encode(), "lab.json")


def test_the_catalogue_holds_every_shipped_weights_as_they_are():
    """When this fails after weights were replaced: python -m vidfer.weights.catalogue."""
    entries = shipped()
    assert {(entry.kind, name) for name, entry in entries.items()} == {
        (kind, name) for kind, names in SHIPPED.items() for name in names
    }
    for name, entry in entries.items():
        weights = find_weights(entry.kind, name)
        assert entry.arch == weights.card["arch"]
        assert entry.url is None
        assert entry.licence
        assert entry.about
        for suffix, told in entry.files.items():
            data = weights.path.with_suffix(suffix).read_bytes()
            assert told == {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            assert entry.fault(suffix, weights.path.parent) is None


def test_refreshing_mends_figures_and_keeps_what_people_wrote(tmp_path, entry):
    content = json.loads(CATALOGUE.read_text())
    content["weights"]["compact"]["files"][".json"]["size"] = 1
    content["weights"]["compact"]["about"] = "as written"
    content["weights"]["gone"] = {"kind": "image"}
    content["weights"]["large"] = entry
    del content["weights"]["small"]
    path = tmp_path / "catalogue.json"
    path.write_text(json.dumps(content))
    refresh(path)
    entries = parse_registry(path.read_bytes(), "test")
    assert entries["compact"].files == shipped()["compact"].files
    assert entries["compact"].about == "as written"
    assert entries["small"].files == shipped()["small"].files
    assert set(entries) == {"compact", "is10", "small", "fusion", "large"}
    assert entries["large"] == parse(entry, "large")["large"]


def test_faults_of_files_are_told(tmp_path, entry):
    found = parse({**entry, "files": {suffix: dict(file) for suffix, file in entry["files"].items()}})["net"]
    assert "cannot be read: No such file" in found.fault(".json", tmp_path)
    (tmp_path / "net.json").write_bytes(b"seven")
    assert "has the size 5, not 7" in found.fault(".json", tmp_path)
    (tmp_path / "net.json").write_bytes(b"seven b")
    assert f"has the sha256 {hashlib.sha256(b'seven b').hexdigest()}, not 0123" in found.fault(".json", tmp_path)
    assert found.size == 12


def test_an_entry_makes_a_registry_of_itself(entry):
    found = parse(entry)
    assert parse_registry(found["net"].as_registry(), "itself") == found


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b"[]", b"{}", b'{"weights": []}', b'{"weights": 1}']
)
def test_what_is_no_registry_is_refused(content):
    with pytest.raises(VidferError, match=r"the registry lab.json (is no JSON|has no table 'weights')"):
        parse_registry(content, "lab.json")


@pytest.mark.parametrize(
    "name", ["../net", "a/b", "a\\b", "net.pt", "net.safetensors", "", ".net", "-net", "n" * 101, "nét"]
)
def test_names_that_could_be_files_are_refused(entry, name):
    with pytest.raises(VidferError, match="is no name: letters, digits"):
        parse(entry, name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "text"}, "is of kind 'text': the kinds are image, audio, denoise"),
        ({"kind": None}, "has no text 'kind'"),
        ({"arch": 5}, "has no text 'arch'"),
        ({"licence": None}, "has no text 'licence'"),
        ({"url": None}, "has no 'url'"),
        ({"url": "file:///etc/passwd"}, "does not start with http"),
        ({"url": 5}, "does not start with http"),
        ({"files": None}, "has other 'files' than .json and .safetensors: nothing else is pulled"),
        ({"files": {".pt": {"size": 5, "sha256": "0" * 64}, ".json": {}}}, "has other 'files' than"),
        ({"files": {".json": {"size": 5, "sha256": "0" * 64}}}, "has other 'files' than"),
        ({"files": {".safetensors": {"size": 5, "sha256": "0" * 64}, ".json": 5}}, "has no 'size' .* of .json"),
        ({"files": {".safetensors": {"size": 5, "sha256": "0" * 63}, ".json": {}}}, "has no 'size' .* of .json"),
        ({"files": {s: {"size": True, "sha256": "0" * 64} for s in (".safetensors", ".json")}}, "has no 'size'"),
        ({"files": {s: {"size": 1, "sha256": "g" * 64} for s in (".safetensors", ".json")}}, "has no 'size'"),
    ],
)
def test_entries_that_lack_something_are_named(entry, change, message):
    with pytest.raises(VidferError, match=f"the registry lab.json is not usable: 'net' {message}|'net' .*{message}"):
        parse({**entry, **change})


def test_an_entry_that_is_no_table_is_named():
    with pytest.raises(VidferError, match="'net' is no table"):
        parse(5)


def test_a_package_without_its_catalogue_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(catalogue, "CATALOGUE", Path(tmp_path / "none.json"))
    with pytest.raises(VidferError, match="reinstall vidfer"):
        shipped()
