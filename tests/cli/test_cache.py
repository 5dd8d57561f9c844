import pytest

from vidfer.cli.main import main
from vidfer.pipeline.gc import entries


@pytest.fixture
def store(toy_store, monkeypatch):
    monkeypatch.setenv("VIDFER_STORE", str(toy_store.root))
    return toy_store


def test_the_list_has_a_line_for_each_artifact(store, capsys):
    assert main(["cache", "list"]) == 0
    said = capsys.readouterr()
    rows = [line.split("\t") for line in said.out.splitlines()]
    assert [row[:2] for row in rows] == [["count", "ok"]] * 2 + [["largest", "ok"]] * 2
    assert [row[3] for row in rows] == [entry.key for entry in entries(store)]
    assert "count: 2, " in said.err
    assert f"{store.root}: 4 artifacts, " in said.err


def test_verify_tells_damage_once(store, capsys):
    (entries(store)[0].path / "counts.safetensors").write_bytes(b"")
    assert main(["cache", "verify", "--store", str(store.root)]) == 1
    said = capsys.readouterr()
    assert "counts.safetensors has 0 bytes" in said.out
    assert "moved to quarantine" in said.out
    assert said.err.endswith("4 artifacts checked, 1 at fault\n")
    assert main(["cache", "verify"]) == 0


def test_everything_and_what_is_old_can_go(store, capsys):
    assert main(["cache", "gc", "--yes"]) == 0
    assert len(entries(store)) == 4
    assert main(["cache", "gc", "--older-than", "-1"]) == 0
    assert "4 would be removed" in capsys.readouterr().err
    assert main(["purge", "--all", "--yes"]) == 0
    assert entries(store) == []


def test_purge_is_a_verb_of_its_own_now(store, capsys):
    assert main(["cache", "purge", "a.bin", "--yes"]) == 2
    assert "it is `vidfer purge` now: --clip PATH" in capsys.readouterr().err
    assert len(entries(store)) == 4
