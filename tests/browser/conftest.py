"""A real browser: pages are opened in it, watched for errors and requests, and checked by axe-core."""

import shutil
from contextlib import contextmanager

import pytest


@pytest.fixture(scope="session")
def camera(tmp_path_factory):
    """What Chromium takes for a camera's pictures: a portrait that drifts, `640 x 480`."""
    import cv2
    import numpy as np
    from PIL import Image

    from vidfer.datasets.photos import read_sample

    portrait, path = read_sample("astronaut"), tmp_path_factory.mktemp("camera") / "portrait.mjpeg"
    with path.open("wb") as file:
        for angle in np.linspace(0, 2 * np.pi, 30, endpoint=False):
            x, y = 30 + round(25 * np.sin(angle)), 10 + round(10 * np.cos(angle))
            Image.fromarray(cv2.resize(portrait[y : y + 300, x : x + 400], (640, 480))).save(file, "JPEG")
    return path


@pytest.fixture(scope="session")
def chromium(camera):
    """Start the system's Chromium once."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium, which is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        flags = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        flags.append(f"--use-file-for-fake-video-capture={camera}")
        browser = driver.chromium.launch(
            executable_path=program, args=[*flags, "--autoplay-policy=no-user-gesture-required"]
        )
        yield browser
        browser.close()


class Watched:
    """What a page said and asked for."""

    def __init__(self, page):
        self.page, self.errors, self.requests = page, [], []
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    @property
    def outside(self):
        """Requests for anything that is not a file of this machine or part of the page."""
        return [url for url in self.requests if not url.startswith(("file:", "data:", "blob:", "about:"))]


@pytest.fixture
def open_page(chromium):
    """Return a function that opens an address: `with open_page(url, width=390, dark=True) as watched`."""

    @contextmanager
    def opened(url, width=1280, height=900, dark=False, **context):
        scheme = "dark" if dark else "light"
        inside = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **context)
        page = inside.new_page()
        watched = Watched(page)
        page.goto(url)
        try:
            yield watched
        finally:
            inside.close()

    return opened


@pytest.fixture
def serious_faults():
    """Return a function that has axe-core look at a page, and names its serious and critical faults."""
    from axe_playwright_python.sync_playwright import Axe

    def look(page):
        found = Axe().run(page).response["violations"]
        return [
            (one["id"], node["target"], node["failureSummary"])
            for one in found
            if one["impact"] in {"serious", "critical"}
            for node in one["nodes"]
        ]

    return look


@pytest.fixture
def overflow():
    """Return a function that tells by how many px a page is wider than its window."""
    return lambda page: page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
