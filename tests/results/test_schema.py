"""Columns of the tables: types that hold whatever the rows are, and names that pandas leaves free."""

import pandas as pd
import pytest

from vidfer.results.schema import DTYPES, TABLES, typed


@pytest.mark.parametrize("table", TABLES)
def test_no_column_hides_an_attribute_of_a_data_frame(table):
    assert not {column.name for column in TABLES[table]} & set(dir(pd.DataFrame))


@pytest.mark.parametrize("table", TABLES)
def test_columns_are_named_once_and_ids_come_first(table):
    names = [column.name for column in TABLES[table]]
    assert len(set(names)) == len(names)
    assert names[:2] == ["clip_id", "person_id"]


@pytest.mark.parametrize("table", TABLES)
def test_types_do_not_depend_on_the_rows(table):
    full = pd.DataFrame({"clip_id": ["a.mp4", "b.mp4"]})
    for rows in (full, full.iloc[:0]):
        found = typed(table, rows)
        assert [str(kind) for kind in found.dtypes] == [
            str(pd.Series(dtype=DTYPES[c.kind]).dtype) for c in TABLES[table]
        ]
        assert len(found) == len(rows)
    joined = pd.concat([typed(table, full), typed(table, full.iloc[:0])])
    assert joined.dtypes.equals(typed(table, full).dtypes)


def test_columns_of_a_study_stay_behind_those_of_the_table():
    found = typed("windows", pd.DataFrame({"condition": ["a"], "clip_id": ["x"]}))
    assert list(found.columns) == [*(column.name for column in TABLES["windows"]), "condition"]
