"""A clip's report in Chromium: played, clicked, zoomed and driven by keys, in both schemes, wide and narrow."""

import os
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.pages.clips import clip_of
from tests.pages.test_environment import HOSTILE
from vidfer import ClipError, ClipResult, Status
from vidfer.pages.report import render_report
from vidfer.results.links import address
from vidfer.results.markers import Marker
from vidfer.results.merge import apply_people
from vidfer.results.names import visible
from vidfer.results.people import People
from vidfer.results.pictures import Pictures

pytestmark = pytest.mark.browser

SECONDS = 12
MARKERS = (Marker("film", 0, 6), Marker("exclude: break", 8, 9, exclude=True))
NAMES = [text.replace("/", "|").replace("\0", "") for text in HOSTILE]


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A film of 12 s whose name would be an element."""
    path = tmp_path_factory.mktemp("clips") / '"><img src=x onerror=1>.mp4'
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("h264", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 160, 120, "yuv420p", Fraction(1, 10)
        for number in range(SECONDS * 10):
            image = np.full((120, 160, 3), number % 256, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        out.mux(stream.encode())
    return path


@pytest.fixture
def page_of(tmp_path):
    """Return a function that writes the report of a clip, and says where."""

    def write(clip, video=None, **given):
        (tmp_path / "run").mkdir(exist_ok=True)
        place = tmp_path / "run/report.html"
        given |= {} if video is None else {"video": address(video, tmp_path / "run")}
        place.write_bytes(render_report(*clip, **given))
        return place.as_uri()

    return write


def now(page):
    return float(page.get_attribute("#cursor", "aria-valuenow"))


def until(page, condition):
    """Wait for a condition; Playwright's own way needs `eval`, which the page's policy forbids."""
    for _ in range(100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(condition)


def click(page, share, **how):
    box = page.locator("#cursor").bounding_box()
    page.locator("#cursor").click(position={"x": share * box["width"], "y": 20}, **how)


def test_mouse_and_keys_move_player_and_readout(film, page_of, open_page):
    clip = clip_of(people=3, markers=MARKERS, clip_id=film.name)
    with open_page(page_of(clip, film, overlay=address(film, film.parent))) as seen:
        page = seen.page
        until(page, "document.getElementById('video').readyState > 0")
        click(page, 0.5)
        until(page, "Math.abs(document.getElementById('video').currentTime - 6) < 0.1")
        assert now(page) == pytest.approx(6, abs=0.05)
        rows = clip[0]["frames"].query("time_s == 6 and person_id.str.endswith('#1')").iloc[0]
        best = f"{rows['smooth_expression']} {rows['smooth_' + rows['smooth_expression']]:.2f}"
        page.mouse.move(5, 5)
        assert best in page.locator("#values tr").first.inner_text()
        assert f"person 1: {best}" in page.get_attribute("#cursor", "aria-valuetext")
        assert page.get_attribute("#cursor", "aria-valuetext").startswith("6.0 s, ")

        page.focus("#cursor")
        for key, expected in (
            *(
                ("ArrowRight", 6.2),
                ("ArrowLeft", 6.0),
                ("PageUp", 7.2),
                ("PageDown", 6.0),
                ("End", 12.0),
                ("Home", 0.0),
            ),
            ("ArrowUp", 0.2),
        ):
            page.keyboard.press(key)
            assert now(page) == pytest.approx(expected, abs=0.05), key
            until(page, f"Math.abs(document.getElementById('video').currentTime - {expected}) < 0.2")
        page.keyboard.press("Space")
        until(page, "document.getElementById('video').currentTime > 0.5")
        assert now(page) > 0.3
        page.keyboard.press("Space")
        assert page.evaluate("document.getElementById('video').paused")
        for _ in range(4):  # each breaks off what the one before began
            page.keyboard.press("Space")
            page.evaluate("document.getElementById('overlay').click(), document.getElementById('overlay').click()")
            until(page, "document.getElementById('video').readyState > 0")
        page.evaluate("document.getElementById('video').pause()")

        box = page.locator("#cursor").bounding_box()
        page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 30)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 30, steps=4)
        page.mouse.up()
        click(page, 0.5)
        assert now(page) == pytest.approx(4.5, abs=0.1)
        page.locator("#cursor").dblclick(position={"x": 0.75 * box["width"], "y": 30})
        click(page, 0.25)
        assert now(page) == pytest.approx(3, abs=0.1)
        page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 30)
        assert page.inner_text("#when") == "At 9.0 s (pointer)"
        assert (page.is_visible("#overlay"), seen.errors, seen.outside) == (True, [], [])


def test_nothing_moves_under_the_pointer_when_the_values_change(page_of, open_page):
    with open_page(page_of(clip_of(people=3, missing=0.5)), width=390) as seen:
        box = seen.page.locator("#cursor")
        tops = set()
        for share in (0.02, 0.2, 0.5, 0.9):
            seen.page.evaluate("document.getElementById('tracks').scrollIntoView()")
            place = box.bounding_box()
            seen.page.mouse.move(place["x"] + share * place["width"], place["y"] + 20)
            tops.add(seen.page.evaluate("document.getElementById('cursor').getBoundingClientRect().top + scrollY"))
            assert "(pointer)" in seen.page.inner_text("#when")
        assert len(tops) == 1
        click(seen.page, 0.9)
        assert now(seen.page) == pytest.approx(10.8, abs=0.1)


def test_gaps_are_hatched_and_areas_are_not(page_of, open_page):
    with open_page(page_of(clip_of(people=1, missing=0.4, sound=False, weight=1.0))) as seen:
        colours = seen.page.evaluate(
            """() => [0.1, 0.5].map((share) => {
              const canvas = document.querySelector("#tracks .area canvas"), context = canvas.getContext("2d");
              const x = Math.round(share * canvas.width), seen = new Set();
              for (let y = 2; y < canvas.height - 2; y++) seen.add([...context.getImageData(x, y, 1, 1).data].join());
              return [...seen];
            })"""
        )
        stacked, gap = ({tuple(map(int, one.split(","))) for one in column} for column in colours)
        assert any(max(one[:3]) - min(one[:3]) > 80 and one[3] == 255 for one in stacked)
        assert all(max(one[:3]) - min(one[:3]) < 40 for one in gap)
        assert len(gap) > 1
        click(seen.page, 0.5)
        assert "person 1: no face" in seen.page.get_attribute("#cursor", "aria-valuetext")


@pytest.mark.parametrize(("dark", "width"), [(False, 1280), (True, 390)])
def test_a_page_can_be_read_by_all_and_fits(film, page_of, open_page, serious_faults, overflow, dark, width):
    tables, summary, pictures = clip_of(people=12, markers=MARKERS, abstain=0.5)
    with open_page(page_of((tables, summary, pictures), film), width=width, dark=dark) as seen:
        for details in seen.page.locator("details").all():
            details.evaluate("(one) => one.setAttribute('open', '')")
        assert seen.page.locator("#tracks .track:not([hidden]) .name a").count() == 6
        seen.page.locator("#chooser input").nth(11).set_checked(True)
        seen.page.locator("#chooser input").nth(0).set_checked(False)
        shown = seen.page.locator("#tracks .track:not([hidden]) .name a").all_inner_texts()
        assert "person 12" in shown
        assert "person 1" not in shown
        assert (serious_faults(seen.page), overflow(seen.page), seen.errors) == ([], 0, [])


def test_the_scheme_can_be_chosen_and_stays(page_of, open_page):
    with open_page(page_of(clip_of())) as seen:
        switch = seen.page.locator("[data-theme-switch]")
        grounds = []
        for _ in range(3):
            grounds.append(seen.page.evaluate("getComputedStyle(document.body).backgroundColor"))
            switch.click()
        assert len(set(grounds)) == 2
        switch.click()
        switch.click()
        assert switch.inner_text() == "Colours: dark"
        seen.page.reload()
        assert switch.inner_text() == "Colours: dark"


@pytest.mark.parametrize("video", ["nothing", "missing", "no video"])
def test_without_a_player_everything_else_works(tmp_path, page_of, open_page, video):
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(b"no video")
    given = {"nothing": None, "missing": tmp_path / "gone.mp4", "no video": broken}[video]
    with open_page(page_of(clip_of(), given)) as seen:
        click(seen.page, 0.5)
        assert now(seen.page) == pytest.approx(6, abs=0.05)
        seen.page.keyboard.press("End")
        assert now(seen.page) == 12
        seen.page.keyboard.press("Space")
        if given:
            seen.page.wait_for_selector("#unplayable:visible")
        assert "everything else works" in seen.page.inner_text(".player")
        assert [error for error in seen.errors if "ERR_FILE_NOT_FOUND" not in error] == []


@pytest.mark.parametrize("name", NAMES)
def test_hostile_names_are_text(film, page_of, open_page, name):
    tables, summary, pictures = clip_of(people=2, clip_id=name, markers=(Marker(name, 0, 5),), sound=False)
    summary |= {"clip": name, "message": name, "status": "partial"}
    tables["clips"] = tables["clips"].assign(path=name, warnings=name, condition=name)
    tables, _ = apply_people(tables, People({}, {f"{name}#1": name}), summary)
    clip = film.parent / name
    if not clip.exists():
        os.link(film, clip)
    with open_page(page_of((tables, summary, pictures), clip)) as seen:
        until(seen.page, "document.getElementById('video').readyState > 0")
        assert seen.page.inner_text("h1") == visible(name)
        assert visible(name) in seen.page.inner_text("#values")
        assert visible(name) in seen.page.inner_text("#person-1 h3")
        assert visible(name) in seen.page.get_attribute("#cursor", "aria-valuetext")
        assert seen.page.locator("script:not([type])").count() == 2
        assert seen.page.locator("[onerror], [onfocus], img[src=x]").count() == 0
        assert (seen.errors, seen.outside) == ([], [])


def test_statuses_open_without_errors(page_of, open_page):
    failed = ClipResult.failed("a.mp4", ClipError(Status.UNREADABLE, "there is no such file"))
    nobody = ({"people": 0}, {"people": 0, "sound": False}, {"people": 1, "seconds": 0.2, "sound": False})
    nothing = ({"weight": 0.1}, {"abstain": 0.95}, {"markers": (Marker("exclude", 0, 99, exclude=True),)})
    clips = [(failed.tables, failed.summary, Pictures()), *(clip_of(**how) for how in (*nobody, *nothing))]
    for clip in clips:
        with open_page(page_of(clip)) as seen:
            assert (seen.errors, seen.outside) == ([], [])
            assert seen.page.inner_text("h1")


@pytest.mark.parametrize("fps", [5, 25])
def test_ten_minutes_of_three_people_are_there_in_three_seconds(page_of, open_page, fps, capsys):
    url = page_of(clip_of(people=3, seconds=600, fps=fps))
    size = len(Path(url.removeprefix("file://")).read_bytes())
    started = time.monotonic()
    with open_page(url) as seen:
        seen.page.wait_for_selector("html[data-ready]")
        ready = time.monotonic() - started
        click(seen.page, 0.5)
        assert now(seen.page) == pytest.approx(300, abs=1)
        clicked = time.monotonic() - started
    with capsys.disabled():
        print(
            f"\n10 minutes, 3 people, {fps} frames/s: {size / 1e6:.2f} MB, drawn in {ready:.2f} s, clicked in {clicked:.2f} s"
        )
    assert size < 4e6
    assert clicked < 3


def test_without_scripts_there_is_nothing_that_needs_them(page_of, open_page):
    with open_page(page_of(clip_of()), java_script_enabled=False) as seen:
        assert seen.page.locator("noscript p").is_visible()
        assert seen.page.locator("#segments-title").is_visible()
        for without in ("button", "#when", "text=Click to go to a time"):
            assert seen.page.locator(f"{without} >> visible=true").count() == 0, without
