"""The tutorial, block by block: on a short clip, and, slow, on the demo's own."""

import pytest

from tests.docs.blocks import Page
from vidfer.datasets.synthetic import write_demo_clip


@pytest.mark.parametrize("near", [None, pytest.param(0.02, marks=pytest.mark.slow)])
def test_the_tutorial_runs_as_it_stands(near, tmp_path, monkeypatch):
    folder = tmp_path
    monkeypatch.setenv("VIDFER_STORE", str(folder / "demo" / "store"))  # what the demo computed is found again
    if near is None:  # the demo makes its own clip, of 10 s, where there is none
        write_demo_clip(folder / "demo" / "astronaut.mp4", seconds=1.2)
    Page("docs/tutorial.md", folder, near=near).run()
    assert (folder / "monday.png").stat().st_size > 5000
    for page in ("index.html", "clips/monday.mp4/report.html"):
        assert "Eileen" in (folder / "run" / page).read_text("utf-8")
    assert len(list((folder / "run" / "plots").rglob("*.svg"))) == 2
