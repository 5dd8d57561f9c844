"""Results of clips, above all of those that cannot be processed."""

import json

import pandas as pd
import pytest

from vidfer import ClipResult, analyze
from vidfer.api import write_result
from vidfer.stages.audio import AudioStage
from vidfer.stages.faces import FacesStage
from vidfer.stages.report import TABLES, table_files
from vidfer.types import EMOTIONS, ClipError, Status

KINDS = {"int64": "i", "double": "f", "string": "OU", "bool": "b"}


def require_columns(result):
    """Check names and types of the columns, and that there are no rows."""
    for name, types in TABLES.items():
        table = getattr(result, name)
        assert list(table.columns) == list(types)
        assert len(table) == 0
        for column, kind in types.items():
            assert table[column].dtype.kind in KINDS[kind], (name, column)
    assert result.frames["happy"].mean() != result.frames["happy"].mean()  # not a number, and no error


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.OK}))
def test_tables_have_their_columns_whatever_became_of_the_clip(status, tmp_path, monkeypatch):
    def refuse(self, *_):
        raise ClipError(status, "why")

    for stage in (FacesStage, AudioStage):
        monkeypatch.setattr(stage, "run", refuse)
    (tmp_path / "clip.mp4").write_bytes(b"clip")
    result = analyze(tmp_path / "clip.mp4", store=tmp_path / "store")
    assert (result.status, result.predominant) == (status, None)
    require_columns(result)


def test_tables_of_a_missing_clip_have_their_columns(tmp_path):
    result = analyze(tmp_path / "missing.mp4", store=tmp_path / "store")
    assert result.status is Status.UNREADABLE
    require_columns(result)


def test_a_clip_that_failed_leaves_no_rows_of_an_earlier_run(tmp_path):
    person = {name: [1 if kind in ("int64", "double") else "happy"] for name, kind in TABLES["people"].items()}
    summary = {"clip": "c"}
    write_result(ClipResult(summary, table_files({"people": person})), tmp_path)
    assert len(pd.read_csv(tmp_path / "people.csv")) == len(pd.read_parquet(tmp_path / "people.parquet")) == 1
    write_result(analyze(tmp_path / "missing.mp4", store=tmp_path / "store"), tmp_path)
    for name, types in TABLES.items():
        assert pd.read_csv(tmp_path / f"{name}.csv").columns.tolist() == list(types)
        assert len(pd.read_csv(tmp_path / f"{name}.csv")) == len(pd.read_parquet(tmp_path / f"{name}.parquet")) == 0
    assert json.loads((tmp_path / "summary.json").read_text())["status"] == "unreadable"


def test_python_results_are_not_rounded():
    columns = {name: [1] if kind in ("int64", "double") else ["happy"] for name, kind in TABLES["people"].items()}
    columns |= {name: [1 / 3] for name in (*EMOTIONS, "margin")}
    result = ClipResult({}, table_files({"people": columns}))
    assert result.people["margin"].tolist() == result.people["happy"].tolist() == [1 / 3]
    assert b"0.333333," in result.files["people.csv"]
