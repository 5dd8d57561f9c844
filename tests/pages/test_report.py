"""What a report says, against the tables that it was made from."""

import base64
import json
import re

import numpy as np
import pytest

from tests.pages.clips import CLIP, clip_of
from vidfer import ClipError, ClipResult, Status
from vidfer.pages import report_facts, series
from vidfer.pages.people import noted_digest, people_digest
from vidfer.pages.report import render_report
from vidfer.pages.report_people import people_of
from vidfer.pages.series import MISSING, SCALE, TICKS
from vidfer.results.colours import COLOURS
from vidfer.results.markers import Marker
from vidfer.results.merge import apply_people
from vidfer.results.people import People
from vidfer.results.pictures import Pictures
from vidfer.types import EMOTIONS


def chart_of(page):
    """Return what the timeline draws."""
    return json.loads(re.search(rb'<script type="application/json" id="data">(.*?)</script>', page)[1])


def unpacked(text, kind):
    return np.frombuffer(base64.b64decode(text), kind)


def test_the_series_are_the_smoothed_probabilities_of_the_tables():
    tables, summary, pictures = clip_of(people=3, missing=0.3)
    chart = chart_of(render_report(tables, summary, pictures))
    times = unpacked(chart["times"], "<u4") / TICKS
    assert len(chart["people"]) == 3
    for band in chart["people"]:
        rows = tables["frames"][tables["frames"]["person_id"] == f"{CLIP}#{band['key']}"]
        np.testing.assert_allclose(times[band["first"] : band["first"] + band["count"]], rows["time_s"], atol=1e-4)
        found = unpacked(band["p"], "<u2").reshape(6, -1)
        expected = rows[[f"smooth_{name}" for name in COLOURS]].to_numpy(float)
        gone = np.isnan(expected[:, 0])
        assert 0 < gone.sum() < len(rows)
        assert (found[:, gone] == MISSING).all()
        np.testing.assert_allclose(found[:, ~gone].T / SCALE, expected[~gone, :6], atol=1e-5)
        flags = [chart["flags"][flag] for flag in unpacked(band["flag"], "u1")]
        assert {flag for flag, out in zip(flags, gone, strict=True) if out} <= {"no face", "blurred"}
        np.testing.assert_allclose(unpacked(band["weight"], "u1") / 255, rows["weight"].fillna(0), atol=0.002)
    assert [span[2] for span in chart["people"][0]["segments"]] == tables["segments"].query(
        "person_id == @CLIP + '#1'"
    )["expression"].tolist()


def test_votes_are_those_of_the_tables_and_lie_within_their_intervals():
    tables, summary, pictures = clip_of(people=2, seconds=30)
    people = people_of(tables, summary, pictures)
    assert [person.label for person in people] == ["person 1", "person 2"]
    for person, (_, row) in zip(people, tables["people"].iterrows(), strict=True):
        shares = {share.name: share for share in person.shares}
        np.testing.assert_allclose(person.interval.shares, [row[f"vote_{name}"] for name in EMOTIONS])
        assert all(s.low <= s.vote <= s.high for s in shares.values() if s.low is not None)
        assert sum(s.low is not None for s in shares.values()) >= 2
        assert [shares[name].probability for name in EMOTIONS] == [row[name] for name in EMOTIONS]


def test_votes_that_name_another_expression_than_the_pooled_probability_say_so():
    tables, summary, pictures = clip_of(people=1, seconds=30)
    note = "The pooled probability names"
    pooled = tables["people"].loc[0, "predominant"]
    tables["people"].loc[0, "vote"] = pooled
    assert note not in render_report(tables, summary, pictures).decode()
    tables["people"].loc[0, "vote"] = next(name for name in EMOTIONS if name != pooled)
    assert f"{note} {pooled} instead." in render_report(tables, summary, pictures).decode()


def test_excluded_times_do_not_vote_and_say_so():
    tables, summary, pictures = clip_of(markers=(Marker("exclude: break", 4, 7, exclude=True), Marker("film", 0, 9)))
    page = render_report(tables, summary, pictures)
    chart = chart_of(page)
    assert [(one["name"], one["exclude"]) for one in chart["markers"]] == [("exclude: break", True), ("film", False)]
    flags = [chart["flags"][flag] for flag in unpacked(chart["people"][0]["flag"], "u1")]
    assert flags.count("excluded") == 15
    assert len(chart["people"][0]["strips"][0]["times"]) == 30
    person = people_of(tables, summary, pictures)[0]
    counted = tables["frames"].query("person_id == @CLIP + '#1' and not excluded")["happy"].notna().sum()
    assert person.n_faces == counted


def test_tracks_of_one_person_are_one_and_have_a_name_and_both_strips(tmp_path):
    tables, summary, pictures = clip_of(people=3)
    first, second = f"{CLIP}#1", f"{CLIP}#2"
    joined, _ = apply_people(tables, People({second: first}, {first: "Ann"}), summary)
    people = people_of(joined, summary, pictures)
    assert [(person.label, person.numbers) for person in people] == [("Ann", (1, 2)), ("person 3", (3,))]
    page = render_report(joined, summary, pictures)
    assert len(chart_of(page)["people"][0]["strips"]) == 2
    (tmp_path / "report.html").write_bytes(page)
    assert noted_digest(tmp_path / "report.html") == people_digest(joined["people"])


@pytest.mark.parametrize("status", [Status.UNREADABLE, Status.CORRUPT, Status.TIMEOUT])
def test_a_clip_that_failed_says_why(status):
    result = ClipResult.failed("a.mp4", ClipError(status, "the file <b>breaks</b> off"))
    page = render_report(result.tables, result.summary, Pictures()).decode()
    assert "the file &lt;b&gt;breaks&lt;/b&gt; off" in page
    assert "No prediction" in page
    assert 'id="tracks"' not in page


@pytest.mark.parametrize(
    "how",
    [
        {"people": 0},
        {"people": 0, "sound": False},
        {"people": 12},
        {"people": 1, "seconds": 0.2, "sound": False},
        {"people": 1, "weight": 0.1},
        {"people": 30, "seconds": 3},
        {"abstain": 0.9},
        {"markers": (Marker("exclude", 0, 99, exclude=True),)},
    ],
)
def test_every_clip_has_a_page(how):
    tables, summary, pictures = clip_of(**how)
    chart = chart_of(render_report(tables, summary, pictures))
    people = tables["people"]["person_id"].nunique()
    assert len(chart["people"]) == min(people, 24)
    assert (chart["nobody"] is not None) == (people == 0 and len(tables["frames"]) > 0)
    assert chart["end"] == pytest.approx(how.get("seconds", 12))


def test_of_very_long_clips_a_part_is_drawn_and_the_page_says_so(monkeypatch):
    tables, summary, pictures = clip_of(people=1, seconds=10, sound=False)
    monkeypatch.setattr(series, "SAMPLES", 40)
    count = len(tables["frames"])
    page = render_report(tables, summary, pictures)
    chart = chart_of(page)
    assert (chart["thin"], chart["people"][0]["count"], chart["step"]) == (2, -(-count // 2), 0.4)
    assert b"one in 2 is drawn" in page


def test_of_very_many_segments_the_longest_are_listed_and_the_page_says_so(monkeypatch):
    tables, summary, pictures = clip_of(people=3, seconds=60)
    every = tables["segments"]
    assert b"longest of" not in render_report(tables, summary, pictures)
    monkeypatch.setattr(report_facts, "LISTED", 9)
    page = render_report(tables, summary, pictures).decode()
    assert f"the 9 longest of {len(every)}" in page
    part = page[page.index('id="segments-title"') : page.index('id="media-title"')]
    cells = np.array(re.findall(r'<td class="num">([\d.]+)</td>', part), float).reshape(-1, 4)
    expected = every.assign(length=every["end_s"] - every["start_s"]).nlargest(9, "length").sort_values("start_s")
    np.testing.assert_allclose(cells[:, 0], expected["start_s"], atol=0.051)
    assert sorted(cells[:, 2]) == pytest.approx(sorted(expected["length"]), abs=0.051)


def test_a_saved_result_has_a_report_that_finds_its_clip(tmp_path):
    tables, summary, pictures = clip_of(people=1, seconds=2)
    clip = tmp_path / "my clips/a #1.mp4"
    clip.parent.mkdir()
    clip.write_bytes(b"film")
    result = ClipResult({**summary, "clip": str(clip)}, tables, None, pictures)
    result.save(tmp_path / "run/deep/a")
    page = (tmp_path / "run/deep/a/report.html").read_text()
    assert 'src="../../../my%20clips/a%20%231.mp4"' in page
    assert "Pictures are blurred" in page
    assert "All clips" not in page
    assert "Copyright (c) 2022 Leon Sorokin" in page
    clip.unlink()
    result.save(tmp_path / "run/deep/a", show_faces=True)
    page = (tmp_path / "run/deep/a/report.html").read_text()
    assert "<video" not in page
    assert "Pictures are blurred" not in page
    assert ClipResult.load(tmp_path / "run/deep/a").summary.keys() == result.summary.keys()
