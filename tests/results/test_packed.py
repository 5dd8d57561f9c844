"""What one process tells another of a clip is JSON, and comes back as it was."""

import json

import pandas as pd
import pytest

from vidfer.results.packed import pack, unpack
from vidfer.results.pictures import Pictures
from vidfer.results.schema import TABLES, typed


@pytest.mark.parametrize("rows", [0, 3])
@pytest.mark.parametrize("name", TABLES)
def test_tables_come_back_with_their_types(name, rows):
    table = typed(name, pd.DataFrame(index=range(rows)))
    _, tables, _ = unpack(json.loads(json.dumps(pack({}, {name: table}, Pictures()))))
    pd.testing.assert_frame_equal(tables[name], table)


@pytest.mark.parametrize(
    "pictures", [Pictures(), Pictures({1: b"\xff\xd8one", 12: b"\0"}, {1: b"strip"}, b"poster", True)]
)
def test_pictures_and_summary_come_back(pictures):
    summary = {"status": "timeout", "margin": None, "people": [{"person": 1}]}
    found, _, again = unpack(json.loads(json.dumps(pack(summary, {}, pictures))))
    assert found == summary
    assert vars(again) == vars(pictures)
