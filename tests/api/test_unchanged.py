"""A run over clips whose results are there already, on files that are no videos: their analysis costs nothing."""

import json
from dataclasses import replace

import pytest

from vidfer.api import Earlier, Writing
from vidfer.cli.main import main
from vidfer.pipeline.store import Store
from vidfer.results.design import ClipDesign
from vidfer.results.markers import Marker
from vidfer.results.study import Study
from vidfer.results.tables import TableOptions
from vidfer.stages.chain import ChainOptions
from vidfer.stages.probe import ProbeStage
from vidfer.types import ClipError, Status

NAMES = ("clips/a.mp4", "clips/b.mp4")


def analyze(folder, *words):
    return main(["analyze", str(folder / "clips"), "--out", str(folder / "out"), "--store", str(folder / "s"), *words])


def write_clips(folder):
    (folder / "clips").mkdir()
    for name in NAMES:
        (folder / name).write_bytes(b"no video " + name.encode())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two clips, analysed once; tests leave them, the store and the results as they are."""
    folder = tmp_path_factory.mktemp("unchanged")
    write_clips(folder)
    assert analyze(folder) == 1
    return folder


@pytest.fixture
def computed(monkeypatch):
    """Note which clips are analysed."""
    from vidfer.api import named

    names, real = [], named.analyze_clip

    def note(path, *rest, **options):
        names.append(path.name)
        return real(path, *rest, **options)

    monkeypatch.setattr(named, "analyze_clip", note)
    return names


def versions(folder):
    """Tell every version of every file from the next, also where the bytes are the same."""
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_a_second_run_computes_and_writes_nothing_and_says_the_same(folder, computed, capsys):
    before = versions(folder / "out")
    told = []
    for jobs in ("1", "2"):
        assert analyze(folder, "--json", "--jobs", jobs) == 1
        told.append(capsys.readouterr().out)
    assert [json.loads(line)["clip_id"] for line in told[0].splitlines()] == [*NAMES]
    assert told[0] == told[1]
    written = json.loads((folder / "out" / NAMES[0] / "summary.json").read_text())
    assert json.loads(told[0].splitlines()[0]).items() <= written.items()
    assert versions(folder / "out") == before
    assert computed == []


def known(folder, chain=None, tables=None, writing=None, design=None, identity=None):
    """Return what is known of the first clip for a run with these options."""
    out = folder / "out"
    store, writing = Store(folder / "s"), writing or Writing(run=out)
    earlier = Earlier(ChainOptions(**chain or {}), TableOptions(**tables or {}), writing, store, identity)
    return earlier.summary(folder / NAMES[0], out / NAMES[0], design or ClipDesign(NAMES[0]))


@pytest.mark.parametrize(
    "change",
    [
        {"chain": {"fps": 2}},
        {"chain": {"abstain": 0.3}},
        {"tables": {"grid": 0.5}},
        {"tables": {"min_segment": 0.0}},
        {"writing": {"excel": True}},
        {"writing": {"show_faces": True}},
        {"writing": {"run": None}},
        {"design": {"study": Study({"condition": "string"}, {NAMES[0]: {"condition": "calm"}})}},
        {"design": {"markers": (Marker("film", 0.0, 1.0),)}},
        {"identity": "0" * 64},
    ],
)
def test_other_options_are_another_result(folder, change):
    assert known(folder)["status"] == "unsupported"
    changes = dict(change)
    if "writing" in changes:
        changes["writing"] = replace(Writing(run=folder / "out"), **changes["writing"])
    if "design" in changes:
        changes["design"] = replace(ClipDesign(NAMES[0]), **changes["design"])
    assert known(folder, **changes) is None
    assert known(folder, chain={"timeout": 5.0, "backend": "onnx"}) is not None  # these decide nothing


def test_other_code_and_another_clip_are_another_result(folder, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("vidfer.api.unchanged.code_digest", lambda: "0" * 64)
        assert known(folder) is None
    clip = folder / NAMES[0]
    whole = clip.read_bytes()
    try:
        clip.write_bytes(whole[::-1])
        assert known(folder) is None
        clip.unlink()
        assert known(folder) is None
    finally:
        clip.write_bytes(whole)
    assert known(folder) is not None


def flip(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize("name", ["clips.parquet", "frames.csv", "datapackage.json", "summary.json", "report.html"])
def test_results_that_somebody_changed_are_not_known(folder, name):
    file = folder / "out" / NAMES[0] / name
    whole = file.read_bytes()
    try:
        for harmed in (
            whole.replace(b'"unsupported"', b'"unreadable!"') if name == "summary.json" else flip(whole),
            whole[: len(whole) // 2],
            b"",
        ):
            assert harmed != whole
            file.write_bytes(harmed)
            assert known(folder) is None
        file.unlink()
        assert known(folder) is None
    finally:
        file.write_bytes(whole)
    assert known(folder) is not None


def test_what_the_store_lost_is_made_again(tmp_path, computed):
    write_clips(tmp_path)
    analyze(tmp_path)
    whole = set((tmp_path / "s").rglob("manifest.json"))
    cut, gone = sorted((tmp_path / "s" / "probe").rglob("manifest.json"))
    cut.write_bytes(cut.read_bytes()[:-1])
    gone.unlink()
    analyze(tmp_path)
    assert sorted(computed) == ["a.mp4", "a.mp4", "b.mp4", "b.mp4"]
    assert whole <= set((tmp_path / "s").rglob("manifest.json"))


def test_results_of_a_fault_that_passes_are_tried_again(tmp_path, computed, monkeypatch):
    def stuck(self, *_):
        raise ClipError(Status.TIMEOUT, "the decoder is stuck")

    write_clips(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(ProbeStage, "run", stuck)
        analyze(tmp_path)
    assert "timeout" in (tmp_path / "out" / "clips.csv").read_text()
    (tmp_path / "out").rename(tmp_path / "earlier")
    analyze(tmp_path)  # the store has by now what the earlier results lack
    (tmp_path / "out").rename(tmp_path / "later")
    (tmp_path / "earlier").rename(tmp_path / "out")
    analyze(tmp_path)
    assert "timeout" not in (tmp_path / "out" / "clips.csv").read_text()


def test_what_is_to_be_told_is_told_again(folder, capsys):
    stray = folder / "out" / "stray"
    stray.mkdir()
    (stray / "summary.json").write_text("{}")
    for _ in range(2):
        capsys.readouterr()
        analyze(folder)
        assert f"{stray} is not in the tables" in capsys.readouterr().err
    (stray / "summary.json").unlink()
    stray.rmdir()
    analyze(folder)
