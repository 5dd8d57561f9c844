"""The tutorial, block by block."""

import pytest

from tests.docs.blocks import Page
from vidfer.datasets.synthetic import write_demo_clip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the demo's clip, shorter than `make demo` makes it where there is none."""
    folder = tmp_path_factory.mktemp("tutorial")
    write_demo_clip(folder / "demo" / "astronaut.mp4", seconds=1.2)
    return folder


def test_the_tutorial_runs_as_it_stands(folder, monkeypatch):
    monkeypatch.setenv("VIDFER_STORE", str(folder / "demo" / "store"))  # what the demo computed is found again
    Page("docs/tutorial.md", folder).run()
    assert (folder / "monday.png").stat().st_size > 5000
    for page in ("index.html", "clips/monday.mp4/report.html"):
        assert "Eileen" in (folder / "run" / page).read_text("utf-8")
    assert len(list((folder / "run" / "plots").rglob("*.svg"))) == 2
