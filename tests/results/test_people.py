"""Who is who: chains, circles, names and links, and `people.csv` as spreadsheets save it."""

import csv
import io

import numpy as np
import pytest

from vidfer.results.people import People, Row, read_rows, resolve
from vidfer.types import VidferError

HEADER = ("clip_id", "person_id", "name", "same_as", "linked_to", "person", "note")


@pytest.fixture
def write(tmp_path):
    """Write people.csv from rows `(clip_id, person, name, same_as)`."""

    def write(rows, *, header=HEADER, delimiter=",", end="\n", encoding="utf-8", quoting=csv.QUOTE_MINIMAL):
        text = io.StringIO()
        writer = csv.DictWriter(text, header, delimiter=delimiter, lineterminator=end, quoting=quoting, restval="")
        writer.writeheader()
        for clip, person, name, same_as in rows:
            cells = {"clip_id": clip, "person": person, "name": name, "same_as": same_as, "note": "keep; this, too"}
            writer.writerow({**cells, "person_id": f"{clip}#{person}", "linked_to": ""})
        path = tmp_path / "people.csv"
        path.write_bytes(text.getvalue().encode(encoding))
        return path

    return write


def read(path, links=None):
    return resolve(path, read_rows(path), links)


ROWS = [
    ("a.mp4", 1, "Ann", ""),
    ("a.mp4", 2, "", "a.mp4#1"),
    ("b b/c.mp4", 1, 'Zoë, née "X"', ""),
    ("b b/c.mp4", 2, "", ""),
]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize(("end", "quoting"), [("\n", csv.QUOTE_MINIMAL), ("\r\n", csv.QUOTE_ALL)])
def test_it_is_read_whatever_spreadsheet_saved_it(write, delimiter, encoding, end, quoting):
    shuffled = ("note", "person", "same_as", "clip_id", "name", "linked_to", "person_id")
    for header in (HEADER, shuffled):
        path = write(ROWS, header=header, delimiter=delimiter, encoding=encoding, end=end, quoting=quoting)
        found = read(path)
        assert found.ids == {"a.mp4#2": "a.mp4#1"}
        assert found.names == {"a.mp4#1": "Ann", "b b/c.mp4#1": 'Zoë, née "X"'}


@pytest.mark.parametrize("clip", ["NA", "nan", " a.mp4", "a ", "NULL"])
def test_a_clip_may_be_called_by_what_is_missing_elsewhere_or_with_spaces(write, clip):
    assert read(write([(clip, 1, "Ann", "")])).names == {f"{clip}#1": "Ann"}


def test_texts_like_formulas_come_back_without_their_apostrophe(write):
    path = write([("'=x.mp4", 1, "'-Ann", ""), ("'=x.mp4", 2, "", "'=x.mp4#1")])
    found = read(path)
    assert (found.ids, found.names) == ({"=x.mp4#2": "=x.mp4#1"}, {"=x.mp4#1": "-Ann"})


def test_there_need_be_no_file(tmp_path):
    assert read(tmp_path / "people.csv") == People()


FAULTS = {
    "has no column same_as in its first line": ([("a", 1, "", "")], {"header": ("clip_id", "person", "name")}),
    "line 3: a#1 is in line 2 already: remove one row": ([("a", 1, "", ""), ("a", 1, "", "")], {}),
    "line 2: person is 'one', not the number that vidfer wrote there: put it back": ([("a", "one", "", "")], {}),
    "line 3: same_as is 'a#9', which is no person_id of this run: did you mean a#1?": (
        [("a", 1, "", ""), ("a", 2, "", "a#9")],
        {},
    ),
    "line 2: same_as is 'Ann', which is no person_id of this run": ([("a", 1, "", "Ann")], {}),
    r"line 2: same_as leads in a circle \(lines 2, 4, 3\): clear it in one of them": (
        [("a", 1, "", "a#3"), ("a", 2, "", "a#1"), ("a", 3, "", "a#2")],
        {},
    ),
    "line 3: a#2 is called Bea, and the same person Ann in another row: give one name, or clear same_as": (
        [("a", 1, "Ann", ""), ("a", 2, "Bea", "a#1")],
        {},
    ),
    "no UTF-8 text: save it as CSV UTF-8": ([("a", 1, "Zoë", "")], {"encoding": "cp1252"}),
    "UTF-8": ([("a", 1, "Ann", "")], {"encoding": "utf-16"}),
}


@pytest.mark.parametrize("said", FAULTS)
def test_what_cannot_be_is_refused_with_the_line(said, write):
    rows, how = FAULTS[said]
    header = how.pop("header", HEADER)
    path = write(rows, **how) if header == HEADER else None
    if path is None:
        path = write([])
        path.write_text(",".join(header) + "\na,1,\n")
    with pytest.raises(VidferError, match=said) as caught:
        read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("seed", range(30))
def test_chains_of_any_length_and_order_end_at_one_person(seed, tmp_path):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 25))
    order = rng.permutation(count)  # everybody points to somebody earlier in it, or to nobody
    towards = {int(order[at]): int(order[rng.integers(0, at)]) for at in range(1, count) if rng.random() < 0.7}
    ids = [f"c#{number}" for number in range(count)]
    rows = {ids[n]: Row(n + 2, "", ids[towards[n]] if n in towards else "") for n in rng.permutation(count)}
    found = resolve(tmp_path, rows)
    for number in range(count):
        end = number
        while end in towards:
            end = towards[end]
        assert found.of(ids[number]) == ids[end]
    loose = [n for n in range(count) if n not in towards]
    start = loose[0]
    inside = [n for n in range(count) if found.of(ids[n]) == ids[start] and n != start]
    if inside:
        with pytest.raises(VidferError, match="leads in a circle"):
            resolve(tmp_path, {**rows, ids[start]: Row(99, "", ids[inside[-1]])})


def test_what_the_user_writes_goes_before_what_was_linked(tmp_path):
    links = {"b#1": "a#1", "c#1": "a#1", "d#1": "a#1"}

    def of(**rows):
        plain = {f"{clip}#1": Row(line, "", "", links.get(f"{clip}#1", "")) for line, clip in enumerate("abcde", 2)}
        return resolve(tmp_path, {**plain, **{f"{clip}#1": row for clip, row in rows.items()}}, None)

    assert of().ids == links
    assert of().links == links
    assert of(b=Row(3, "", "nobody", "a#1")).ids == {"c#1": "a#1", "d#1": "a#1"}
    assert of(b=Row(3, "", "b#1", "a#1")).ids == {"c#1": "a#1", "d#1": "a#1"}
    assert of(b=Row(3, "", "e#1", "a#1")).ids == {"b#1": "e#1", "c#1": "a#1", "d#1": "a#1"}
    assert of(a=Row(2, "", "b#1")).ids == {"a#1": "b#1", "c#1": "b#1", "d#1": "b#1"}
    named = of(a=Row(2, "Ann"), b=Row(3, "Bea", "", "a#1"), c=Row(4, "Ann", "", "a#1"))
    assert named.ids == {"c#1": "a#1", "d#1": "a#1"}
    assert named.names == {"a#1": "Ann", "b#1": "Bea"}
    assert of(d=Row(5, "Dan", "", "a#1")).names == {"a#1": "Dan"}
    assert of(b=Row(3, "", "", "gone#1")).ids == {"c#1": "a#1", "d#1": "a#1"}


def test_new_links_take_the_place_of_earlier_ones(tmp_path):
    rows = {"a#1": Row(2), "b#1": Row(3, "", "", "a#1")}
    found = resolve(tmp_path, rows, {"c#1": "a#1"})
    assert (found.ids, found.links) == ({"c#1": "a#1"}, {"c#1": "a#1"})
