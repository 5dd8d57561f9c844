"""Captions of a clip as the track of a video: what a browser's own parser reads."""

import re

import pytest

from tests.exchange.made import NAMES, clip_with
from vidfer.exchange.spans import line
from vidfer.exchange.webvtt import webvtt_file

pytestmark = pytest.mark.browser

CUES = """async text => {
    const track = document.createElement("track")
    track.src = URL.createObjectURL(new Blob([text], {type: "text/vtt"}))
    const loaded = new Promise(done => track.addEventListener("load", done))
    document.querySelector("video").append(track)
    track.track.mode = "hidden"
    await loaded
    return [...track.track.cues].map(cue => {
        const part = cue.getCueAsHTML()
        return [cue.startTime, cue.endTime, part.querySelector("span").title, part.textContent]
    })
}"""


def test_names_are_text_and_end_no_cue(open_page, tmp_path):
    tables, _ = clip_with(NAMES, [(n, n / 10, 3.0625, "sad") for n in range(1, len(NAMES) + 1)])
    page = tmp_path / "a.html"
    page.write_text("<video></video>", "utf-8")
    with open_page(page.as_uri()) as watched:
        shown = watched.page.evaluate(CUES, webvtt_file(tables).decode())
        assert not watched.errors
    names = [re.sub(r"\s+", " ", line(name)) or "person 9" for name in NAMES]
    assert [each[2:] for each in shown] == [[name, f"{name}: sad"] for name in names]
    assert [each[:2] for each in shown] == [
        [pytest.approx(n / 10), pytest.approx(3.0625, abs=0.001)] for n in range(1, len(NAMES) + 1)
    ]
