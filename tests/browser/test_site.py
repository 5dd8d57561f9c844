"""The documentation site, built strictly and opened from a local server."""

import functools
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.browser
BUILD = """
import sys
from mkdocs.__main__ import cli
cli(["build", "--strict", "--quiet", "--site-dir", sys.argv[1]], standalone_mode=False)
assert not {"torch", "vidfer"} & set(sys.modules), "docstrings are to be read, not imported"
"""
LOOKED_AT = (
    "index.html",
    "tutorial.html",
    "reference/columns.html",
    "reference/api/results.html",
    "results/index.html",
)


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of the site, which `mkdocs build --strict` has made."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run([sys.executable, "-c", BUILD, str(folder)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("dark", [False, True])
def test_pages_are_whole_quiet_and_accessible(site, open_page, serious_faults, dark):
    for name in LOOKED_AT:
        with open_page(f"{site}/{name}", dark=dark) as watched:
            watched.page.wait_for_load_state("networkidle")
            assert watched.errors == [], name
            assert [url for url in watched.requests if not url.startswith((site, "data:"))] == [], name
            assert serious_faults(watched.page) == [], name
            assert watched.page.locator("body").get_attribute("data-md-color-scheme") == (
                "slate" if dark else "default"
            )


def test_a_phone_shows_every_page_and_wide_tables_are_reached_by_keys(site, open_page, overflow, serious_faults):
    with open_page(f"{site}/index.html", width=390) as watched:
        for name in (*LOOKED_AT, "concepts/stages.html", "paper.html", "cards/models.html", "reference/cli.html"):
            watched.page.goto(f"{site}/{name}")
            assert overflow(watched.page) == 0, name
        watched.page.goto(f"{site}/cards/models.html")
        assert watched.page.locator("[tabindex='0'] table").count() > 0
        assert serious_faults(watched.page) == []


def test_the_search_finds_a_column_and_the_switch_stays(site, open_page):
    with open_page(f"{site}/index.html") as watched:
        page = watched.page
        page.get_by_role("textbox", name="Search").fill("noise_sigma")
        first = page.locator(".md-search-result__link").first
        first.wait_for()
        assert "noise_sigma" in page.locator(".md-search-result__list").inner_text()
        page.keyboard.press("Escape")
        page.locator("label[title='Switch to dark mode']").click()
        page.goto(f"{site}/tutorial.html")
        assert page.locator("body").get_attribute("data-md-color-scheme") == "slate"
        assert watched.errors == []
        assert page.locator("pre button[title*='Copy'], .md-clipboard").count() >= 8  # a block is copied by a button
