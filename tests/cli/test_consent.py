"""Clips without consent, or whose retention is over, are not read; the others go on."""

import json
from pathlib import Path

import pandas as pd
import pytest

import vidfer
from vidfer.cli.main import main
from vidfer.pipeline.gc import entries
from vidfer.pipeline.store import Store
from vidfer.weights.bundles import SHIPPED_BUNDLE

ROWS = [
    ("asked.mp4", "yes", "2026-01-02", "2999-12-31", "a study"),
    ("refused.mp4", "no", "", "", ""),
    ("taken_back.mp4", "withdrawn", "2026-01-02", "", ""),
    ("over.mp4", "yes", "2020-01-02", "2020-12-31", ""),
    ("unknown.mp4", "", "", "", ""),
]
NOT_READ = ["over.mp4", "refused.mp4", "taken_back.mp4"]


@pytest.fixture
def study(tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    for name, *_ in ROWS:
        (folder / name).write_text(f"{name}, no video")
    lines = ["clip,consent,consent_date,retain_until,purpose,condition", *(",".join([*row, "film"]) for row in ROWS)]
    (folder / "participants.csv").write_text("\n".join(lines) + "\n")
    return folder


def analyze(study: Path, *words: str) -> int:
    root = study.parent
    return main(["analyze", *words, "--out", str(root / "run"), "--store", str(root / "store")])


def read_files(monkeypatch) -> list[str]:
    """Note each file that is digested, which is the first thing that reads a clip."""
    from vidfer.pipeline import digest

    read, real = [], digest.file_digest
    monkeypatch.setattr(digest, "file_digest", lambda path: read.append(path.name) or real(path))
    return read


def test_refused_clips_are_named_and_never_read(study, monkeypatch, capsys):
    read = read_files(monkeypatch)
    for _ in range(2):
        assert analyze(study, str(study)) == 1
        said = capsys.readouterr().err
        assert "refused.mp4: refused: not analysed: there is no consent to its analysis" in said
        assert "over.mp4: refused: not analysed: its retention ended on 2020-12-31" in said
    assert not set(read) & set(NOT_READ)
    clips = pd.read_parquet(study.parent / "run/clips.parquet").set_index("clip_id")
    assert clips.index[clips["status"] == "refused"].tolist() == [f"clips/{name}" for name in NOT_READ]
    asked = clips.loc["clips/asked.mp4"]
    assert (asked["consent"], asked["retain_until"], asked["purpose"]) == ("yes", "2999-12-31", "a study")
    summary = json.loads((study.parent / "run/clips/asked.mp4/summary.json").read_text())
    assert summary["consent"] == dict(
        zip(("consent", "consent_date", "retain_until", "purpose"), ROWS[0][1:], strict=True)
    )
    assert json.loads((study.parent / "run/clips/unknown.mp4/summary.json").read_text())["consent"] is None
    frames = pd.read_parquet(study.parent / "run/frames.parquet")
    assert "condition" in frames
    assert not {"consent", "retain_until", "purpose"} & set(frames)
    report = (study.parent / "run/clips/asked.mp4/report.html").read_text()
    assert "2999-12-31" in report
    assert json.loads((study.parent / "run/clips/refused.mp4/summary.json").read_text())["video"] is None


def test_results_of_a_clip_go_when_its_consent_does(study, capsys):
    lines = (study / "participants.csv").read_text().replace("asked.mp4,yes", "asked.mp4,withdrawn")
    analyze(study, str(study))
    store = Store(study.parent / "store")
    digest = {one.recipe["source"] for one in entries(store) if one.recipe.get("source")}
    (study / "participants.csv").write_text(lines)
    words = ["--out", str(study.parent / "run"), "--store", str(store.root), "--yes"]
    assert main(["purge", "--expired", *words]) == 0  # by what the file says now, not when it was analysed
    assert "Nothing is left there." in capsys.readouterr().out
    left = {one.recipe["source"] for one in entries(store) if one.recipe.get("source")}
    assert (len(digest), len(left)) == (2, 1)
    clips = pd.read_parquet(study.parent / "run/clips.parquet")
    assert clips["clip_id"].tolist() == ["clips/unknown.mp4"]


@pytest.mark.parametrize("cell", ["maybe", "ja"])
def test_a_cell_that_is_no_answer_ends_the_run_before_it_begins(study, capsys, cell):
    path = study / "participants.csv"
    path.write_text(path.read_text().replace("asked.mp4,yes", f"asked.mp4,{cell}"))
    assert analyze(study, str(study)) == 2
    assert f"line 2: consent is '{cell}': write yes, no or withdrawn" in " ".join(capsys.readouterr().err.split())
    assert not (study.parent / "store").exists()


def test_manifests_and_python_refuse_as_well(study, monkeypatch, capsys):
    read, root = read_files(monkeypatch), study.parent
    table = (study / "participants.csv").read_text().replace("clip,", "path,")
    (study / "list.csv").write_text(table)
    words = [
        "analyze",
        "--manifest",
        str(study / "list.csv"),
        "--out",
        str(root / "many"),
        "--store",
        str(root / "store"),
    ]
    for _ in range(2):
        assert main(words) == 1
        clips = pd.read_parquet(root / "many/clips")
        assert sorted(clips.loc[clips["status"] == "refused", "clip_id"]) == NOT_READ
    analyzer = vidfer.Analyzer(store=root / "store", participants=study / "participants.csv")
    found = {one.clip_id: one.status for one in analyzer.analyze_many([study / name for name in NOT_READ])}
    assert set(found.values()) == {"refused"}
    assert not set(read) & set(NOT_READ)
    (study / "list.csv").write_text(table.replace("2999-12-31", "31.12.2999"))
    assert main(words) == 2
    assert "list.csv, row 1: retain_until is '31.12.2999'" in " ".join(capsys.readouterr().err.split())
    (study / "list.csv").write_text(table.replace("2999-12-31", "2021-12-31"))
    assert main(words) == 1
    clips = pd.read_parquet(root / "many/clips").set_index("clip_id")
    assert clips.loc["asked.mp4", "status"] == "refused"


WAYS = [
    ["analyze", "clips"],
    ["analyze", "clips/deep"],
    ["analyze", "clips/deep/b.mp4"],
    ["analyze", "clips/deep/b.mp4", "--participants", "other.csv"],
    ["run", "probe", "clips/deep"],
    ["run", "probe", "clips/deep/b.mp4", "--dry-run"],
    ["evaluate", "clip", "clips/deep", "--labels", "name"],
    ["evaluate", "clips", "clips/deep"],
    ["evaluate", "bundle", "BUNDLE", "--data", "labelled.csv"],
]
SHEETS = {
    "its place": "clip,consent\ndeep/b.mp4,withdrawn\n",
    "its name": "clip,consent\nb.mp4,no\n",
    "other case": "Clip,CONSENT\nDeep\\B.MP4,Withdrawn\n",
    "Excel's": "\ufeffclip;retain_until;age\r\ndeep/b.mp4;2020-01-01;31,5\r\n",
    "twice": "clip,consent,age\nb.mp4,False,3\ndeep/b,no,3\n",
}


@pytest.fixture
def above(tmp_path, monkeypatch):
    """A clip in a folder below that of the study's file, which says how it is called there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips/deep").mkdir(parents=True)
    for name in ("clips/a.mp4", "clips/deep/b.mp4", "clips/deep/happy b.mp4"):
        (tmp_path / name).write_text(f"{name}, no video")
    (tmp_path / "other.csv").write_text("clip,age\nb.mp4,3\n")
    (tmp_path / "labelled.csv").write_text("path,label\nclips/deep/b.mp4,happy\nclips/a.mp4,sad\n")
    monkeypatch.setenv("VIDFER_STORE", str(tmp_path / "store"))

    def write(text: str) -> Path:
        (tmp_path / "clips/participants.csv").write_text(text, "utf-8")
        return tmp_path / "clips/deep/b.mp4"

    return write


@pytest.mark.parametrize(
    ("words", "sheet"), [*((way, "its place") for way in WAYS), *((WAYS[2], name) for name in SHEETS)]
)
def test_a_clip_is_refused_however_it_is_named_and_whatever_would_read_it(above, words, sheet, monkeypatch, capsys):
    clip, read = above(SHEETS[sheet]), read_files(monkeypatch)
    assert main([str(SHIPPED_BUNDLE) if word == "BUNDLE" else word for word in words]) == 1
    assert clip.name not in read
    said = capsys.readouterr()
    assert any(why in said.out + said.err for why in ("consent to its analysis", "retention ended")), said


def test_python_refuses_as_well_without_being_told_of_the_file(above):
    clip = above(SHEETS["its place"])
    assert vidfer.analyze(clip).status == "refused"
    assert vidfer.analyze(clip.with_name("happy b.mp4")).status == "unsupported"
    assert vidfer.Analyzer(participants="other.csv").analyze(clip).status == "refused"


def test_a_row_of_another_file_of_that_name_says_nothing(above):
    clip = above("clip,consent\na.mp4,no\n")
    own = clip.with_name("a.mp4")
    own.write_bytes(clip.read_bytes())
    assert vidfer.analyze(own).status == "unsupported"
    assert vidfer.analyze(clip.parents[1] / "a.mp4").status == "refused"


def test_a_file_above_that_says_nothing_of_consent_is_left_alone(above):
    for text in ("id,group\n1,2\n", "clip,age\na.mp4,3\n"):
        assert vidfer.analyze(above(text)).status == "unsupported"
