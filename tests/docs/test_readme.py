"""The README's blocks are run as they stand, but for those that need data, a camera, or somebody to end them."""

import numpy as np
import pytest

from tests.docs.blocks import Page
from vidfer.datasets.photos import read_sample
from vidfer.datasets.synthetic import write_demo_clip
from vidfer.media.record import record_frames

WITHOUT = {
    "vidfer analyze --camera": "needs a camera",
    "vidfer app": "serves until it is ended; its own tests start it",
    "vidfer evaluate": "needs data sets that come from their publishers",
}
"""Commands of the README that are only checked (targets exist, options are read), with the reason."""


@pytest.fixture
def folder(tmp_path):
    """A folder with what the README's commands read."""
    write_demo_clip(tmp_path / "clip.mp4", seconds=1.2)
    photo = read_sample("astronaut")[20:180, 140:300]
    (tmp_path / "clips").mkdir()
    rows = ["clip,participant,condition"]
    for at in range(4):
        record_frames(np.stack([photo + at] * 3), tmp_path / "clips" / f"{at}.mkv", fps=5)
        rows.append(f"{at}.mkv,{at // 2},{('film', 'rest')[at % 2]}")
    (tmp_path / "study.csv").write_text("\n".join(rows))
    (tmp_path / "stimuli.csv").write_text("clip,name,start,end\n*,first,0,0.2\n")
    return tmp_path


@pytest.mark.slow
def test_the_readme_runs_as_it_stands(folder):
    page = Page("README.md", folder, WITHOUT)
    said = page.run()
    assert len(said) >= 5
    assert set(page.skipped) == set(WITHOUT)  # no exception that the README does not need
