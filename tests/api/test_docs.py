"""The examples of docs/how-to/python.md are those of examples/, short, and work."""

import re
import runpy

import pytest

from tests.conftest import ROOT
from tests.docs.blocks import Page
from vidfer.media.record import record_frames

NOTEBOOK = ROOT / "examples" / "notebook.py"


def cells():
    """Return the code of each cell of the notebook by its title."""
    parts = re.split(r"^# %% (.*)\n", NOTEBOOK.read_text(), flags=re.MULTILINE)[1:]
    return {title: code.strip() for title, code in zip(parts[::2], parts[1::2], strict=True)}


@pytest.fixture(scope="module")
def study(tmp_path_factory, portrait, analyzer):
    """A folder with what the examples read: a clip, four more of two people in two conditions, and who they are."""
    folder = tmp_path_factory.mktemp("study")
    record_frames(portrait[:24:2], folder / "clip.mp4", fps=10)
    (folder / "clips").mkdir()
    rows = ["clip,participant,condition"]
    for number in range(4):
        record_frames(portrait[5 * number : 5 * number + 1], folder / "clips" / f"{number}.mkv", fps=5)
        rows.append(f"{number}.mkv,{('anna', 'ben')[number // 2]},{('film', 'rest')[number % 2]}")
    (folder / "participants.csv").write_text("\n".join(rows))
    return folder


def test_the_page_shows_the_notebook(tmp_path):
    shown = [block.strip() for block in Page("docs/how-to/python.md", tmp_path).blocks("python")]
    tasks = [code for title, code in cells().items() if title[0].isdigit()]
    assert len(tasks) == 10
    assert shown[1:11] == tasks
    assert all(len([line for line in code.splitlines() if line]) <= 5 for code in tasks)


def test_the_ten_tasks_work(study, monkeypatch, capsys):
    monkeypatch.chdir(study)
    done = runpy.run_path(str(NOTEBOOK))
    assert done["result"].status == "ok"
    assert (len(done["result"].frames), len(done["finer"].frames)) == (6, 12)
    assert len(done["seconds"]) == 2
    assert (study / "clip.png").stat().st_size > 5000
    assert len(done["first"]) == 5 < len(done["images"]) == len(done["vectors"]) == 6
    assert len(done["mean_face"]) == 1
    assert done["comparison"].differences["n_first"].tolist() == [2] * 7
    assert done["run"].clips["condition"].tolist() == ["film", "rest"] * 2
    assert len(capsys.readouterr().out.splitlines()) == 6


def test_the_live_example_prints_latencies(study, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["live.py", str(study / "clip.mp4")])
    runpy.run_path(str(ROOT / "examples" / "live.py"), run_name="__main__")
    *frames, last = capsys.readouterr().out.splitlines()
    assert len(frames) == 12
    assert all(re.fullmatch(r" +\d\.\d\d s +\d+\.\d ms  person 1 \w+", line) for line in frames)
    assert re.fullmatch(r"latency of 12 frames: median \d+\.\d ms, 95th percentile \d+\.\d ms", last)
