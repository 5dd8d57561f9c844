"""A run that was changed by hand, or came damaged from someone else: what can be made again is, the rest is named."""

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.results.fake import write
from tests.results.made import summary_of
from vidfer.results.apply import apply_edits
from vidfer.results.clip_folder import SUMMARY, FolderError, open_clip
from vidfer.results.files import is_written_as
from vidfer.results.run import load_run
from vidfer.results.run_folder import rebuild
from vidfer.results.schema import TABLES
from vidfer.types import VidferError

READ = (
    *("clip", "status", "message", "predominant", "margin", "modalities", "people", "people 0", "people 0 person"),
    *(f"{part}{name}" for part in ("faces", "sound", "fused") for name in ("", " status", " margin", " distribution")),
    *("media", "media duration_s", "media codec", "media notes", "settings", "settings abstain", "analyzed_at"),
    *("provenance", "provenance stages", "models", "models image", "models image network", "further_columns", "files"),
)
"""Parts of a summary that some command reads."""

MAY_LACK = ("people 0", "models", "models image")
AGAIN = "analyse its clip again"

MODELS = {"image": {"weights": "compact", "digest": "0", "network": "compact"}}


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """The folder of a clip."""
    folder = tmp_path_factory.mktemp("run")
    write(folder, "a.mp4")
    change(folder / "a.mp4", lambda found: found.update(summary_of(1, models=MODELS)))
    return folder / "a.mp4"


@pytest.fixture
def run(tmp_path):
    """A run of two clips, with its tables."""
    for name in ("a.mp4", "b.mp4"):
        write(tmp_path, name)
        change(tmp_path / name, lambda found: found.update(summary_of(1, models=MODELS)))
    rebuild(tmp_path)
    return tmp_path


def change(folder, how):
    found = json.loads((folder / SUMMARY).read_text())
    how(found)
    (folder / SUMMARY).write_text(json.dumps(found))


@pytest.mark.parametrize("part", READ)
def test_a_summary_of_another_shape_is_damaged(clip, part):
    *way, last = (int(name) if name.isdigit() else name for name in part.split())
    assert open_clip(clip)

    def spoil(found, *value):
        for name in way:
            found = found[name]
        if value:
            found[last] = value[0]
        else:
            del found[last]

    whole = (clip / SUMMARY).read_bytes()
    for value in ([], *([each] for each in ({"x": [[]]}, [{"x": 1}], True))):
        (clip / SUMMARY).write_bytes(whole)
        change(clip, lambda found, value=value: spoil(found, *value))
        if value or part not in MAY_LACK:
            with pytest.raises(FolderError, match=r"is damaged: .*summary\.json"):
                open_clip(clip)
    (clip / SUMMARY).write_bytes(whole)


def test_a_clip_with_such_a_summary_costs_no_other(run):
    change(run / "a.mp4", lambda found: found.update(settings=[]))
    loaded = load_run(run)
    assert loaded.found.left_out == {
        run / "a.mp4": f"is damaged: settings in {SUMMARY} is not what vidfer writes: {AGAIN}"
    }
    assert loaded.clips["clip_id"].tolist() == ["b.mp4"]


def spoilt(table, how):
    column = table.column_names[-1]
    if how == "lacks a column":
        return table.remove_column(table.num_columns - 1)
    if how == "has a column twice":
        return table.append_column(column, table[column])
    return table.set_column(table.num_columns - 1, column, pa.array([[1]] * table.num_rows))


@pytest.mark.parametrize("how", ["lacks a column", "has a column twice", "of another type", "cut", "no table"])
def test_tables_of_a_run_that_are_not_as_written_are_made_again(run, how):
    paths = {name: run / f"{name}.parquet" for name in TABLES}
    before = {name: pd.read_parquet(path) for name, path in paths.items()}
    for name, path in paths.items():
        assert is_written_as(path, name)
        if how in ("cut", "no table"):
            path.write_bytes(path.read_bytes()[:-20] if how == "cut" else b"")
        else:
            table = spoilt(pq.read_table(path), how)
            pq.write_table(table.replace_schema_metadata(pq.read_schema(path).metadata), path)
        assert not is_written_as(path, name)
    with pytest.raises(VidferError, match=r"people\.parquet is damaged: analyse"):
        apply_edits(run)
    loaded = load_run(run)
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(loaded, name), before[name])


def test_a_table_whose_rows_cannot_be_read_is_named(run):
    path = run / "frames.parquet"
    path.write_bytes(b"PAR1" + bytes(300) + path.read_bytes()[304:])
    for read in (lambda: load_run(run).frames, lambda: load_run(run).tables("a.mp4")):
        with pytest.raises(VidferError, match=r"frames\.parquet is damaged .*remove it"):
            read()
    path.unlink()
    assert len(load_run(run).frames)
