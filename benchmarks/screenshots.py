"""Write docs/screenshots: the report of the demo's clip, the page of a synthetic study, and the app, as a browser shows them.

Each is drawn light, dark, and as on a phone, by the system's Chromium. `make screenshots` runs it; it needs no data and no
network. Times in the pages are fixed, so that what has not changed gives the same pictures.
"""

import io
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from study_run import LEANINGS, replace_time, study_clips, write_run

from vidfer.api import ClipResult, Writing, analyze, write_result
from vidfer.datasets.synthetic import write_demo_clip
from vidfer.pages.run import write_pages
from vidfer.results.colours import COLOURS
from vidfer.results.run_folder import rebuild

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PLACE: Final = Path(__file__).parents[1] / "docs" / "screenshots"
LOOKS: Final = {"light": (1280, 800, "light"), "dark": (1280, 800, "dark"), "phone": (390, 844, "light")}
LARGEST: Final = 250_000
"""Bytes of a picture, at most."""

_FREQUENT: Final = 144
"""Colours of a picture that are kept as they are."""


def main(names: list[str]) -> None:
    """Draw the pages of these names, or all."""
    pages = {"report": _report, "index": _index, "app": _app}
    with TemporaryDirectory(prefix="vidfer-") as folder, _chromium() as browser:
        for name, draw in pages.items():
            if not names or name in names:
                with draw(Path(folder)) as url:
                    for look in LOOKS:
                        _write(PLACE / f"{name}-{look}.png", _shot(browser, url, look))


def _demo(folder: Path) -> ClipResult:
    """Analyse the demo's clip, once, and give the result fixed times."""
    clip = folder / "astronaut.mp4"
    if not clip.exists():
        write_demo_clip(clip)
    result = replace_time(analyze(clip, store=folder / "store"))
    return replace(result, summary={**result.summary, "elapsed_s": 4.0, "clip": clip.name})


@contextmanager
def _report(folder: Path) -> Iterator[str]:
    demo, run = _demo(folder), folder / "demo"
    how = Writing(show_faces=True, run=run)
    write_result(demo, run / demo.clip_id, how, source=folder / "astronaut.mp4")
    write_pages(run, rebuild(run))
    yield (run / demo.clip_id / "report.html").as_uri()


@contextmanager
def _index(folder: Path) -> Iterator[str]:
    run = folder / "film-study"
    write_run(run, study_clips([*LEANINGS], 8, np.random.default_rng(4)), _demo(folder).summary, failed=1)
    yield write_pages(run, rebuild(run)).as_uri()


@contextmanager
def _app(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "vidfer", "app", "--port", "0"]
    inside = os.environ | {"TMPDIR": str(folder), "VIDFER_STORE": str(folder / "store"), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=inside) as server:
        assert server.stdout is not None
        told = re.search(r"http://\S+", server.stdout.readline())
        if told is None:
            raise SystemExit("vidfer app did not start")
        try:
            yield told[0]
        finally:
            server.send_signal(signal.SIGTERM)


@contextmanager
def _chromium() -> Iterator["Browser"]:
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        raise SystemExit("screenshots need Chromium: install it")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--font-render-hinting=none"])
        yield browser
        browser.close()


def _shot(browser: "Browser", url: str, look: str) -> bytes:
    """Return a page as PNG: from its top, or on a wide screen from its video."""
    width, height, scheme = LOOKS[look]
    context: dict[str, Any] = {
        "viewport": {"width": width, "height": height},
        "color_scheme": scheme,
        "reduced_motion": "reduce",
    }
    with browser.new_context(**context) as opened:
        page = opened.new_page()
        page.goto(url)
        _settle(page)
        if width > height:  # the player with the timeline below it
            page.evaluate("document.querySelector('video')?.closest('.card').scrollIntoView()")
        return bytes(page.screenshot())


def _settle(page: "Page") -> None:
    """Wait until pictures and the video's frame are there."""
    page.wait_for_function("""[...document.images].every((image) => image.complete || image.loading === "lazy")
        && [...document.querySelectorAll("video")].every((video) => video.error || !video.currentSrc || video.readyState > 1)""")
    page.evaluate("document.querySelectorAll('video').forEach((video) => { video.currentTime = 4; })")
    page.wait_for_timeout(2500)  # the player's own signs fade


def _write(path: Path, png: bytes) -> None:
    """Write a picture with 256 colours: the most frequent ones, which are those of the page, and some for photographs."""
    from PIL import Image, ImageColor

    image = Image.open(io.BytesIO(png)).convert("RGB")
    frequent = [ImageColor.getrgb(colour) for colour in COLOURS.values()]
    colours, counts = np.unique(np.asarray(image).reshape(-1, 3), axis=0, return_counts=True)
    ordered = colours[np.argsort(-counts, kind="stable")]
    frequent += [(int(red), int(green), int(blue)) for red, green, blue in ordered[:_FREQUENT]]
    rare = ordered[_FREQUENT:] if len(ordered) > _FREQUENT else ordered
    others = Image.fromarray(rare[None]).quantize(256 - len(frequent)).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([value for colour in frequent for value in colour] + others)
    buffer = io.BytesIO()
    image.quantize(palette=palette, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    if len(buffer.getvalue()) > LARGEST:
        raise SystemExit(f"{path.name} has {len(buffer.getvalue())} bytes, more than {LARGEST}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())
    print(f"{path.relative_to(PLACE.parents[1])}: {len(buffer.getvalue()) // 1000} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
