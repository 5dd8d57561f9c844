"""What may be changed in people.csv, and what a spreadsheet changes by itself."""

import numpy as np
import pandas as pd
import pytest

from vidfer.results.people_check import check_cells
from vidfer.results.schema import TABLES, typed
from vidfer.types import EMOTIONS, VidferError


@pytest.fixture
def people():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"clip_id": ["-a b.mp4", "-a b.mp4", "c.mp4"], "person": [1, 2, 1], "n_faces": [3, 1200, 40]})
    rows["person_id"] = rows["clip_id"] + "#" + rows["person"].astype(str)
    shares = rng.dirichlet(np.full(7, 0.3), 3)
    rows = rows.assign(**dict(zip(EMOTIONS, shares.T, strict=True)), predominant="happy", first_s=[0.2, 1e-6, 1234.5])
    return typed("people", rows.assign(thumbnail=["person-1.jpg", None, "person-1.jpg"]))


def save(people, path, *, digits=6, comma=False, **changed):
    """Write people.csv as a spreadsheet may, with so many decimals."""
    rows = people.astype(object).assign(**changed)
    for name in rows.select_dtypes(object):
        rows[name] = [
            ""
            if pd.isna(value)
            else (f"{value:.{digits}f}".rstrip("0") or "0")
            if isinstance(value, float)
            else str(value)
            for value in rows[name]
        ]
        if comma:
            rows[name] = rows[name].str.replace(".", ",") if name in EMOTIONS else rows[name]
    rows.to_csv(path, index=False, sep=";" if comma else ",")
    return path


@pytest.mark.parametrize("digits", [2, 4, 6])
@pytest.mark.parametrize("comma", [False, True])
def test_what_a_spreadsheet_does_by_itself_is_no_change(people, tmp_path, digits, comma):
    path = save(people, tmp_path / "people.csv", digits=digits, comma=comma, name=["Ann", "", ""], note="mine")
    assert check_cells(path, people) == []
    kept = people[["person", "clip_id", "same_as", "name"]].iloc[::-1]
    assert check_cells(save(kept, path), people) == []


def test_rows_that_are_gone_are_named(people, tmp_path):
    path = save(people.iloc[1:], tmp_path / "people.csv")
    assert check_cells(path, people) == [f"{path} has no row of -a b.mp4#1: it is added again"]


UNTOUCHED = {"clip_id", "person", "name", "same_as", "linked_to"}


@pytest.mark.parametrize("column", [column for column in TABLES["people"] if column.name not in UNTOUCHED], ids=str)
def test_any_other_change_is_refused_with_its_line(people, tmp_path, column):
    for before, now in ((people, "0.87" if column.kind != "string" else "sad"), (people, ""), (people, "x")):
        cells = before[column.name].astype(object).tolist()
        if now == ("" if pd.isna(cells[1]) else cells[1]):
            continue
        cells[1] = now or None
        path = save(people, tmp_path / "people.csv", **{column.name: cells})
        with pytest.raises(
            VidferError, match=rf"line 3: {column.name} is '{now}', not .*: only name and same_as may be"
        ):
            check_cells(path, people)


def test_a_row_of_nobody_is_refused(people, tmp_path):
    path = save(people, tmp_path / "people.csv", person=[1, 2, 7])
    with pytest.raises(VidferError, match=r"line 4: the run has no person c\.mp4#7: remove the row"):
        check_cells(path, people)
