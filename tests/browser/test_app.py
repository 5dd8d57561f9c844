"""The page of `vidfer app` in a real browser, with the real server in a process of its own."""

import csv
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from vidfer.results.schema import TABLES

pytestmark = pytest.mark.browser

HOSTILE = '"><img src=x onerror=1>.mp4'
MEGABYTES = 3
SLOW = 180_000  # ms: the machine may be busy with other tests
CHOSEN = "#limits:has-text('Up to')"


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """Start the server on a free port, with room for one waiting clip; return its address."""
    command = [sys.executable, "-m", "vidfer", "app", "--port", "0", "--max-size", str(MEGABYTES), "--max-queue", "1"]
    inside = os.environ | {"TMPDIR": str(tmp_path_factory.mktemp("app")), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=inside) as server:
        yield re.search(r"http://\S+", server.stdout.readline())[0]
        server.send_signal(signal.SIGTERM)
        server.wait(20)
    assert not list(Path(inside["TMPDIR"]).glob("vidfer*")), "the server left files behind"


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Four seconds of the demo's clip."""
    from vidfer.datasets.synthetic import write_demo_clip

    path = tmp_path_factory.mktemp("clips") / "demo.mp4"
    write_demo_clip(path, seconds=4.0)
    return path


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory):
    """A clip that is small, and takes much longer to analyse than the page takes to be looked at: two minutes without a face."""
    path = tmp_path_factory.mktemp("clips") / "long.mp4"
    image = np.random.default_rng(0).integers(0, 255, (360, 480, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5, width=480, height=360, pix_fmt="yuv420p")
        for _ in range(600):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode())
    return path


@pytest.fixture
def sound(serious_faults, overflow):
    """Return a function that holds a view to be accessible in both schemes, and no wider than a phone."""

    def check(page):
        size = page.viewport_size
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert serious_faults(page) == []
        page.set_viewport_size({"width": 390, "height": 844})
        assert overflow(page) <= 0
        page.set_viewport_size(size)

    return check


def finished(page):
    """Wait for the result, and return its report."""
    page.wait_for_selector("#result:visible, #why:visible", timeout=SLOW)
    assert not page.locator("#why").is_visible(), page.inner_text("#why")
    return page.frame_locator("#report")


def test_the_example_becomes_a_report_and_tables(app, open_page, sound, tmp_path):
    with open_page(app) as watched:
        page = watched.page
        page.wait_for_selector(CHOSEN)
        assert page.inner_text("#limits").startswith(f"Up to {MEGABYTES} MB and 10 minutes.")
        sound(page)
        page.keyboard.press("Tab")  # the way by the keyboard: skip link, brand, API, colours, file, example
        seen = []
        while "example" not in (seen[-1:] or [""])[0]:
            page.keyboard.press("Tab")
            seen.append(page.evaluate("document.activeElement.id || document.activeElement.hash || ''"))
            assert len(seen) < 12
        assert "file" in seen
        page.keyboard.press("Enter")
        page.wait_for_selector("#bar:visible")
        assert page.evaluate("document.activeElement.id") == "clip-title"
        sound(page)
        report = finished(page)
        assert report.locator("h1").inner_text() == "astronaut.mp4"
        assert page.evaluate("document.activeElement.id") == "result-title"
        sound(page)
        page.click("text=Download")
        for name in TABLES:
            with page.expect_download() as download:
                page.click(f"[aria-label='{name} as csv']")
            assert Path(download.value.path()).read_text("utf-8-sig").startswith("clip_id,")
        with page.expect_download() as download:
            page.click("#zip")
        assert Path(download.value.path()).read_bytes().startswith(b"PK")
        page.keyboard.press("Escape")
        assert not page.locator("#zip").is_visible()
        page.click("text=Analyse another")
        page.wait_for_selector("#earlier:visible")
        assert page.inner_text("#earlier-list") == "astronaut.mp4\ndone"
        assert page.frame_locator("#report").locator("video").count() == 0  # nothing goes on playing unseen
        page.click("#earlier-list a")
        assert finished(page).locator("h1").inner_text() == "astronaut.mp4"
        page.route("**/jobs/*", lambda route: route.abort() if route.request.method == "DELETE" else route.fallback())
        page.click("#remove")
        page.wait_for_selector("#said:has-text('vidfer does not answer')", state="attached")
        assert finished(page).locator("h1").inner_text() == "astronaut.mp4"  # it is still there, and still shown
        page.unroute("**/jobs/*")
        assert [error for error in watched.errors if "ERR_FAILED" not in error] == []
        assert all(url.startswith((app, "blob:", "data:")) for url in watched.requests)


@pytest.mark.parametrize("part", ["report", "astronaut.mp4"])
def test_a_clip_is_removed_while_its_report_still_loads(app, open_page, part):
    with open_page(f"{app}#example") as watched:
        page, held = watched.page, []
        page.route(f"**/jobs/*/{part}", lambda route: held.append(route))  # Playwright marks what it calls
        page.wait_for_selector("#result:visible, #why:visible", timeout=SLOW)
        while not held:
            page.wait_for_timeout(50)
        page.click("#remove")
        page.wait_for_selector("#start:visible")
        assert not page.locator("#earlier").is_visible()
        for route in held:
            route.continue_()
        page.wait_for_timeout(500)  # for answers that nobody may wait for any more
        assert watched.errors == []


def test_a_file_that_cannot_be_taken_is_told_in_a_sentence(app, open_page, sound, clip, tmp_path):
    corrupt, large, empty = (tmp_path / name for name in ("corrupt.mp4", "large.mp4", "empty.mp4"))
    corrupt.write_bytes(clip.read_bytes()[:5000])
    large.write_bytes(bytes(MEGABYTES * 1_000_000 + 1))
    empty.touch()
    with open_page(app) as watched:
        page = watched.page
        page.wait_for_selector(CHOSEN)
        for file, words in ((large, "and vidfer takes up to 3 MB here"), (empty, "empty.mp4 is empty")):
            page.set_input_files("#file", file)
            assert words in page.inner_text("#start-problem")
            assert page.evaluate("document.activeElement.id") == "start-problem"
        sound(page)
        dropped = page.evaluate_handle(
            """([name, bytes]) => {
              const moved = new DataTransfer();
              moved.items.add(new File([Uint8Array.from(bytes)], name));
              return moved;
            }""",
            [corrupt.name, list(corrupt.read_bytes())],
        )
        page.dispatch_event("#drop", "drop", {"dataTransfer": dropped})
        page.wait_for_selector("#why:visible", timeout=SLOW)
        assert page.inner_text("#clip-kind") == "This clip could not be analysed"
        assert len(page.inner_text("#why")) > 20
        assert str(tmp_path) not in page.inner_text("#why")
        assert page.evaluate("document.activeElement.id") == "why"
        sound(page)
        assert watched.errors == []
    with open_page(app) as watched:  # a page that believes more is taken: the server refuses
        page = watched.page
        taken = '{"max_bytes": 1000000000, "max_duration_s": 600, "keep_s": 3600}'
        page.route("**/limits", lambda route: route.fulfill(body=taken, content_type="application/json"))
        page.reload()
        page.wait_for_selector(CHOSEN)
        page.set_input_files("#file", large)
        page.wait_for_selector("#why:visible", timeout=SLOW)
        assert "at most 3 MB are taken" in page.inner_text("#why")


def test_an_upload_shows_its_progress_and_can_be_cancelled(app, open_page, sound, clip):
    with open_page(app) as watched:
        page = watched.page
        page.wait_for_selector(CHOSEN)
        slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 50_000}
        page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", slow)
        page.set_input_files("#file", clip)
        page.wait_for_selector("#share:text-matches('^[1-9][0-9]? %')", timeout=SLOW)
        assert page.inner_text("#doing") == page.inner_text("#said") == "Sending"
        sound(page)
        page.click("#cancel")
        page.wait_for_selector("#start:visible")
        assert not page.locator("#earlier").is_visible()  # there was no job yet
        assert watched.errors == []


def test_two_users_wait_for_each_other_and_a_cancelled_clip_makes_room(
    app, open_page, sound, clip, long_clip, tmp_path
):
    hostile = tmp_path / HOSTILE
    hostile.write_bytes(clip.read_bytes())
    with open_page(app) as first, open_page(app) as second, open_page(app) as third:
        first.page.set_input_files("#file", long_clip)
        first.page.wait_for_selector("#steps li[data-step=running][aria-current]", timeout=SLOW)
        second.page.set_input_files("#file", hostile)
        second.page.wait_for_selector("text=Waiting: next in the queue", timeout=SLOW)
        sound(second.page)
        third.page.set_input_files("#file", clip)
        third.page.wait_for_selector("#why:visible", timeout=SLOW)
        assert "the queue is full" in third.page.inner_text("#why")
        second.page.reload()  # the tab finds its clip again
        second.page.wait_for_selector("text=Waiting: next in the queue", timeout=SLOW)
        second.page.route("**/jobs/*", lambda route: route.abort())  # the network is gone for a while
        second.page.wait_for_selector("#lost:visible", timeout=SLOW)
        first.page.click("#cancel")
        first.page.wait_for_selector("#why:visible")
        assert first.page.inner_text("#clip-kind") == "This clip was cancelled"
        second.page.unroute("**/jobs/*")
        second.page.wait_for_selector("#lost", state="hidden", timeout=SLOW)
        third.page.click("#again")
        report = finished(second.page)
        assert report.locator("h1").inner_text() == HOSTILE
        assert report.locator("img[src=x]").count() == second.page.locator("img").count() == 0
        assert second.page.inner_text("#result-title") == f"Result of {HOSTILE}"
        second.page.click("text=Analyse another")
        second.page.wait_for_selector("#earlier:visible")
        assert second.page.inner_text("#earlier-list a") == HOSTILE
        third.page.click("text=vidfer")  # the clip goes on, and the first view finds out
        third.page.wait_for_selector("#earlier-list:has-text('demo.mp4')")
        third.page.wait_for_timeout(500)
        while third.page.inner_text("#earlier-list").endswith("on its way"):
            third.page.goto(f"{app}#record")
            third.page.goto(f"{app}#")
            third.page.wait_for_timeout(500)
        third.page.click("#earlier-list a")
        finished(third.page)
        assert third.page.locator("#report").get_attribute("title") == "Report of demo.mp4"
        assert first.errors == []


def test_a_recording_of_the_camera_is_analysed_in_its_whole_length(app, open_page, sound):
    with open_page(f"{app}#record") as watched:
        page = watched.page
        assert (
            page.evaluate("document.getElementById('record-live').srcObject") is None
        )  # nothing before it is asked for
        sound(page)
        page.click("#record-on")
        page.wait_for_selector("#record-start:visible")
        sound(page)
        page.click("#record-start")
        page.wait_for_selector("#record-stop:visible")
        page.wait_for_selector("#record-time:text-matches('^0:0[4-9]')")
        page.click("#record-stop")
        page.wait_for_selector("#record-review:visible")
        page.wait_for_timeout(1000)  # for the player to find the recording's end
        length = page.evaluate("document.getElementById('record-play').duration")
        assert 3 < length < 8
        sound(page)
        page.click("#record-use")
        report = finished(page)
        assert report.locator("h1").inner_text().startswith("recording-")
        job = page.evaluate("fetch(`jobs/${location.hash.split('/')[1]}`).then((answer) => answer.json())")
        assert job["summary"]["predominant"] == "happy"
        frames = page.request.get(f"{app}jobs/{job['id']}/tables/frames.csv").text().splitlines()
        times = [float(row["time_s"]) for row in csv.DictReader(frames)]
        assert max(times) == pytest.approx(length, abs=1.0)  # though the header names no length; a busy camera is late
        assert job["summary"]["sound"]["n_windows"] > 0
        assert watched.errors == []


def test_live_mode_answers_until_it_is_stopped(app, open_page, sound):
    with open_page(f"{app}#live") as watched:
        page = watched.page
        sound(page)
        for _ in range(2):  # a place on the server is free again at once
            page.click("#live-start")
            page.wait_for_selector("#live-people figcaption:has-text('happy')", timeout=SLOW)
            page.wait_for_selector("#live-pace:visible")
            page.evaluate("window.track = document.getElementById('live-video').srcObject.getTracks()[0]")
            page.click("#live-stop")
            assert page.evaluate("window.track.readyState") == "ended"
            assert page.evaluate("document.activeElement.id") == "live-start"
        page.click("#live-start")
        page.wait_for_selector("#live-pace:visible", timeout=SLOW)
        assert re.fullmatch(r"\d+\.\d pictures a second, answered in \d+ ms", page.inner_text("#live-pace"))
        drawn = page.evaluate(
            """() => {
              const canvas = document.getElementById("live-drawn");
              const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
              return data.filter((_, place) => place % 4 === 3 && data[place] > 0).length;
            }"""
        )
        assert drawn > 1000  # a box, a name and bars
        sound(page)
        page.goto(f"{app}#")  # leaving the view gives the camera back, too
        page.wait_for_selector("#start:visible")
        assert page.evaluate("document.getElementById('live-video').srcObject") is None
        assert page.evaluate("localStorage.length + sessionStorage.length") == 0
        assert watched.errors == []


def test_a_camera_that_may_not_be_used_is_told_in_a_sentence(app, open_page):
    for view, button in (("record", "#record-on"), ("live", "#live-start")):
        with open_page(f"{app}#{view}") as watched:
            page = watched.page
            for fault, words in (("NotAllowedError", "did not allow it"), ("NotFoundError", "No camera")):
                page.evaluate(
                    "(name) => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', name)); }",
                    fault,
                )
                page.click(button)
                page.wait_for_selector(f"#{view}-problem:has-text('{words}')")
                assert page.evaluate("document.activeElement.id") == f"{view}-problem"
