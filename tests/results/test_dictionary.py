"""The data dictionary: it says what the files are, by an independent reader where there is one."""

import json
import shutil
import subprocess
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import pandas as pd
import pytest

from tests.results.made import faces_of, report_of, summary_of, times_of, windows_of
from vidfer.results.dictionary import MARK, columns_page, datapackage, write_page
from vidfer.results.files import table_files
from vidfer.results.frames import build_frames
from vidfer.results.schema import DTYPES, OPTIONAL, SCHEMA_VERSION, TABLES
from vidfer.results.tables import NO_MEDIA, Report, build_tables
from vidfer.types import VidferError

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "columns.md"

DIGESTS = {1: "787358244271c082"}
"""Of the columns of each version: names, types, units, ranges, values, and whether one can be missing."""


def digest():
    """Return the digest of the columns as they are."""
    columns = {
        f"{kind}.{table}": [
            (each.name, each.kind, each.unit, each.low, each.high, each.values, bool(each.missing)) for each in columns
        ]
        for kind, tables in (("always", TABLES), ("further", OPTIONAL))
        for table, columns in tables.items()
    }
    return blake2b(json.dumps(columns, sort_keys=True).encode(), digest_size=8).hexdigest()


def test_a_changed_schema_has_another_version():
    assert digest() == DIGESTS.get(SCHEMA_VERSION), (
        f"the columns are not those of version {SCHEMA_VERSION}: if that version is released, raise SCHEMA_VERSION in "
        f"vidfer/results/schema.py; then put '{digest()}' into DIGESTS here, and run make columns"
    )
    assert set(DIGESTS) == set(range(1, SCHEMA_VERSION + 1))


def test_the_page_is_what_the_code_says(tmp_path):
    assert PAGE.read_text("utf-8").partition(f"{MARK}\n\n")[2] == columns_page(), "run make columns"
    page = tmp_path / "page.md"
    page.write_text(f"# Mine\n\n{MARK}\nold\n")
    write_page(page)
    assert page.read_text("utf-8") == f"# Mine\n\n{MARK}\n\n{columns_page()}"
    page.write_text("# Mine\n")
    with pytest.raises(VidferError, match="has no line"):
        write_page(page)


def test_the_page_names_every_column():
    page = columns_page()
    for table, columns in {**TABLES, **OPTIONAL}.items():
        for column in columns:
            shared = column.name.replace(column.name.rpartition("_")[2], "angry")
            assert f"`{column.name}`" in page or f"`{shared}` ..." in page, (table, column.name)


def clips():
    """Return tables of clips of every kind."""
    times = times_of(4)
    sound, frames = windows_of((0, 2), (1, 3)), build_frames(times, faces_of(times, p1=[0, 1, 7], p2=[2, 3, 4]), 0.45)
    failed = {"status": "corrupt", "settings": None, "provenance": None, "media": NO_MEDIA, "elapsed_s": None}
    full = report_of(frames, sound, media={**NO_MEDIA, "duration_s": 4.0, "step_s": 0.2, "rotation": 0})
    return {
        "a.mp4": build_tables(replace(full, people=full.people.assign(**_complete())), "a.mp4"),
        "b.mp4": build_tables(Report.empty(summary_of(**failed)), "b.mp4"),
    }


def _complete():
    """Return values for the columns of `people` that cannot be missing."""
    texts = {"predominant": "happy", "vote": "sad"}
    return {
        column.name: texts.get(column.name, 0.5 if column.kind == "float" else 1)
        for column in TABLES["people"]
        if not column.missing and column.name not in ("clip_id", "person_id", "person")
    }


@pytest.mark.parametrize("clip", ["a.mp4", "b.mp4"])
def test_the_fields_are_those_of_the_files_and_hold_their_values(clip):
    tables = clips()[clip]
    for resource in datapackage("x")["resources"]:
        rows = tables[resource["name"]]
        fields = {field["name"]: field for field in resource["schema"]["fields"]}
        assert list(fields) == list(rows.columns)
        header = dict(table_files(tables))[resource["path"]].decode().splitlines()[0]
        assert header.split(",") == list(fields)
        for name, field in fields.items():
            given, bounds = rows[name].dropna(), field["constraints"]
            assert len(given) == len(rows) or "required" not in bounds, (resource["name"], name)
            assert given.isin(bounds.get("enum", given.tolist())).all(), name
            assert given.empty or given.min() >= bounds.get("minimum", given.min()), name
            assert given.empty or given.max() <= bounds.get("maximum", given.max()), name


def test_further_columns_are_described_those_of_a_study_by_their_meaning():
    package = datapackage("Run 1 (ä)", {"clips": {"condition": "string", "age": "int"}}, excel=True)
    fields = package["resources"][-1]["schema"]["fields"]
    assert [field["name"] for field in fields[-2:]] == ["condition", "age"]
    assert "file of participants" in fields[-2]["description"]
    assert fields[-1] == {**fields[-1], "type": "integer", "description": "the user's own column", "constraints": {}}
    assert {resource["encoding"] for resource in package["resources"]} == {"utf-8-sig"}
    assert (package["name"], package["title"], package["schemaVersion"]) == ("run-1", "Run 1 (ä)", SCHEMA_VERSION)


def test_no_column_of_a_study_is_required_since_clips_of_a_run_may_lack_it():
    kinds = {table: {column.name: column.kind for column in columns} for table, columns in OPTIONAL.items()}
    for resource in datapackage("x", kinds)["resources"]:
        further = resource["schema"]["fields"][-len(kinds[resource["name"]]) :]
        assert [field["name"] for field in further] == list(kinds[resource["name"]])
        assert not any("required" in field["constraints"] for field in further)


def test_each_kind_of_column_has_a_type():
    types = {"string": "string", "int": "integer", "float": "number", "bool": "boolean", "time": "datetime"}
    fields = [field for resource in datapackage("x")["resources"] for field in resource["schema"]["fields"]]
    columns = [column for columns in TABLES.values() for column in columns]
    assert [field["type"] for field in fields] == [types[column.kind] for column in columns]
    assert set(types) == set(DTYPES)


@pytest.mark.skipif(not shutil.which("frictionless"), reason="the program frictionless is not installed")
@pytest.mark.parametrize("excel", [False, True])
def test_an_independent_reader_finds_the_files_as_described(tmp_path, excel):
    parts = clips().values()
    tables = {name: pd.concat([part[name] for part in parts], ignore_index=True) for name in TABLES}
    for name, data in table_files(tables, excel=excel):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "datapackage.json").write_text(json.dumps(datapackage("run", excel=excel)))

    def validate():
        command = ["frictionless", "validate", "datapackage.json", "--json"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return json.loads(done.stdout)

    assert validate()["valid"], validate()
    frames = tmp_path / "frames.csv"
    frames.write_text(frames.read_text("utf-8").replace("no_face", "gone", 1), "utf-8")
    (fault,) = (error for task in validate()["tasks"] for error in task["errors"])
    assert (fault["type"], fault["fieldName"]) == ("constraint-error", "status")
