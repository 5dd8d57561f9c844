from pathlib import Path
from urllib.parse import urljoin

import pytest

from tests.pages.test_environment import HOSTILE
from vidfer.results.links import address, playable


@pytest.mark.parametrize(
    "name", [text.replace("/", "|").replace("\0", "") for text in HOSTILE] + ["a b#1?.mp4", "100%.mp4", "..mp4"]
)
@pytest.mark.parametrize("folder", ["run/a.mp4", "run/deep/er/a.mp4", "clips"])
def test_a_browser_finds_the_clip_from_its_report(tmp_path, folder, name):
    clip = tmp_path / "clips" / name
    page = (tmp_path / folder / "report.html").as_uri()
    assert urljoin(page, address(clip, tmp_path / folder)) == clip.as_uri()


def test_an_address_moves_with_both_and_has_no_scheme(tmp_path):
    assert address(Path("clips/javascript:x.mp4"), Path("run/x")) == "../../clips/javascript%3Ax.mp4"
    assert address(Path("javascript:x.mp4"), Path()) == "./javascript%3Ax.mp4"


def test_pictures_and_what_is_not_there_are_not_played(tmp_path):
    for name in ("a.mp4", "a.PNG", "a.gif"):
        (tmp_path / name).write_bytes(b"")
    assert [playable(tmp_path / name) for name in ("a.mp4", "a.PNG", "a.gif", "b.mp4")] == [True, False, False, False]
    assert not playable(tmp_path)
    assert not playable(None)
