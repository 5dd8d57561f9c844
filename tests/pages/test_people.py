"""A page notes with which names it was made."""

import pandas as pd

from vidfer.pages.people import META, noted_digest, people_digest


def rows(**changed):
    people = {"person": [1, 2], "person_id": ["a#1", "a#2"], "person_name": ["Ann", None], "n_faces": [3, 4]}
    return pd.DataFrame({**people, **changed}).astype({"person_id": "string", "person_name": "string"})


def test_the_digest_is_of_names_and_of_who_is_who_alone():
    first = people_digest(rows())
    assert people_digest(rows(n_faces=[9, 9])) == people_digest(rows().iloc[::-1]) == first
    others = [rows(person_name=["Ann", "Ben"]), rows(person_id=["a#1", "a#1"]), rows(person_name=["Ann", ""])]
    assert len({first, *map(people_digest, others)}) == 4
    assert people_digest(rows().iloc[:0]) == people_digest(rows().iloc[:0].astype(object))


def test_a_page_is_asked_for_its_digest(tmp_path):
    page = tmp_path / "report.html"
    assert noted_digest(page) is None
    page.write_text(f'<!doctype html>\n<meta charset="utf-8">\n<meta name="{META}" content="{people_digest(rows())}">')
    assert noted_digest(page) == people_digest(rows())
    page.write_text("<!doctype html>" + " " * 5000 + f'<meta name="{META}" content="ff">')
    assert noted_digest(page) is None
