"""Results of clips, above all of those that cannot be processed."""

import json

import pandas as pd
import pytest

from vidfer import ClipResult, analyze
from vidfer.api import write_result
from vidfer.results.schema import DTYPES, TABLES, typed
from vidfer.stages.audio import AudioStage
from vidfer.stages.faces import FacesStage
from vidfer.stages.probe import ProbeStage
from vidfer.types import EMOTIONS, ClipError, Status


def require_columns(result):
    """Check names and types of the columns, and that there are no rows but the clip's own."""
    for name, columns in TABLES.items():
        table = result.tables[name]
        assert list(table.columns) == [column.name for column in columns]
        assert [str(kind) for kind in table.dtypes] == [
            str(pd.Series(dtype=DTYPES[column.kind]).dtype) for column in columns
        ]
        assert len(table) == (name == "clips")
    assert result.frames["happy"].mean() != result.frames["happy"].mean()  # not a number, and no error


@pytest.mark.parametrize("broken", [ProbeStage, FacesStage])
@pytest.mark.parametrize("status", sorted(set(Status) - {Status.OK}))
def test_tables_have_their_columns_whatever_became_of_the_clip(status, broken, tmp_path, monkeypatch):
    def refuse(self, *_):
        raise ClipError(status, "why")

    for stage in (broken, AudioStage):
        monkeypatch.setattr(stage, "run", refuse)
    (tmp_path / "clip.mp4").write_bytes(b"clip")
    result = analyze(tmp_path / "clip.mp4", store=tmp_path / "store")
    assert (result.status, result.predominant) == (status, None)
    require_columns(result)


def test_tables_of_a_missing_clip_have_their_columns(tmp_path):
    result = analyze(tmp_path / "missing.mp4", store=tmp_path / "store")
    assert result.status is Status.UNREADABLE
    require_columns(result)


def one_person(**columns):
    """Return the result of a clip with one person of these columns."""
    result = analyze("missing.mp4")
    return ClipResult(result.summary, {**result.tables, "people": typed("people", pd.DataFrame([columns]))})


def test_a_clip_that_failed_leaves_no_rows_of_an_earlier_run(tmp_path):
    write_result(one_person(clip_id="c", person=1), tmp_path)
    assert len(pd.read_csv(tmp_path / "people.csv")) == len(pd.read_parquet(tmp_path / "people.parquet")) == 1
    write_result(analyze(tmp_path / "missing.mp4", store=tmp_path / "store"), tmp_path)
    for name, columns in TABLES.items():
        assert pd.read_csv(tmp_path / f"{name}.csv").columns.tolist() == [column.name for column in columns]
        rows = len(pd.read_csv(tmp_path / f"{name}.csv")), len(pd.read_parquet(tmp_path / f"{name}.parquet"))
        assert rows == ((1, 1) if name == "clips" else (0, 0))
    assert json.loads((tmp_path / "summary.json").read_text())["status"] == "unreadable"


def test_python_results_are_not_rounded(tmp_path):
    result = one_person(**dict.fromkeys((*EMOTIONS, "margin"), 1 / 3))
    assert result.people["margin"].tolist() == result.people["happy"].tolist() == [1 / 3]
    write_result(result, tmp_path)
    assert b"0.333333," in (tmp_path / "people.csv").read_bytes()
