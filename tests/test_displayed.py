"""Every output says that it shows displayed expressions, and not what people feel: here is the list of all of them."""

import io
import json
from contextlib import redirect_stdout
from fnmatch import fnmatch

import av
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

import vidfer
from tests.in_process import in_process
from vidfer.cli import evaluate
from vidfer.cli.main import main
from vidfer.types import DISPLAYED
from vidfer.weights.files import SHIPPED, find_weights

CLASSIFIERS = ("image", "audio", "fusion", "faces")

FILES = {
    **dict.fromkeys(("run/datapackage.json", "run/*/datapackage.json", "run/*/summary.json", "many/run.json"), "json"),
    **dict.fromkeys(("run/index.html", "run/*/report.html", "run/compare/*.md", "run/export/vidfer.txt"), "text"),
    **dict.fromkeys(("run/export/*.eaf", "run/export/*.vtt", "run/plots/*.svg", "run/compare/*.svg"), "text"),
    **dict.fromkeys(("run/*.parquet", "run/*/*.parquet", "many/*/part-*.parquet"), "parquet"),
    **dict.fromkeys(("run/plots/*.png", "run/compare/*.png"), "png"),
    "run/*/overlay.mp4": "video",
}
"""Every file that holds results, and how it is read; * stands for folders, too."""

BESIDE = {
    **dict.fromkeys(("run/*.csv", "run/*/*.csv", "run/*/*.jpg"), "datapackage.json"),
    "run/compare/*.csv": "compare_condition.md",
    "run/export/*.csv": "vidfer.txt",
}
"""Files that have no room for it, and the one in their folder that says it for them."""

PRINTED = ("analyze", "analyze --json", "analyze --manifest", "compare")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of all that analyses, comparisons, plots and exports write, and what each command printed."""
    from skimage.data import astronaut

    from vidfer.datasets.synthetic import write_demo_clip
    from vidfer.overlay import write
    from vidfer.overlay.child import handle

    folder = tmp_path_factory.mktemp("displayed")
    study, named, clips, run = (
        folder / "study.csv",
        folder / "named.csv",
        [folder / "a.mp4", folder / "b.png"],
        folder / "run",
    )
    study.write_text("clip,participant,condition\na.mp4,1,one\nb.png,2,two\n")
    named.write_text(f"path\n{clips[1]}\n")
    write_demo_clip(clips[0], seconds=1.2)
    Image.fromarray(astronaut()[:300, 60:400]).save(clips[1])
    stored = ("--jobs", 1, "--store", folder / "store")
    commands = {
        "analyze": ("analyze", *clips, "--participants", study, "--overlay", "--out", run, *stored),
        "analyze --json": ("analyze", clips[1], "--json", "--out", folder / "other", *stored),
        "analyze --manifest": ("analyze", "--manifest", named, "--parts", "frames", "--out", folder / "many", *stored),
        "compare": ("compare", run, "--by", "condition"),
        "plot timeline": ("plot", run, "--kind", "timeline"),
        "plot distribution": ("plot", run, "--kind", "distribution"),
        "plot embedding": ("plot", run, "--kind", "embedding", *stored[2:]),
        "plot confusion": ("plot", run, "--kind", "confusion", "--truth", "shown"),
        "plot reliability": ("plot", run, "--kind", "reliability", "--truth", "shown"),
        **{program: ("export", run, "--format", program) for program in ("elan", "webvtt", "py-feat")},
    }
    printed = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "Child", in_process(handle))
        for name, words in commands.items():
            with redirect_stdout(io.StringIO()) as out:
                assert main([str(word) for word in words]) == 0, name
            printed[name] = " ".join(out.getvalue().split())  # lines are wrapped
            if name == "compare":
                pd.read_csv(run / "clips.csv", dtype=str).assign(shown="happy").to_csv(run / "clips.csv", index=False)
    return folder, printed


def said(path, how):
    """Return all texts in which a file may say it."""
    if how == "parquet":
        return [pq.read_schema(path).metadata[b"about"].decode()]
    if how == "png":
        return [Image.open(path).text["Description"]]
    if how == "video":
        with av.open(str(path)) as container:
            return list(container.metadata.values())
    return [path.read_text().replace("&#39;", "'")]


@pytest.mark.parametrize("pattern", FILES)
def test_a_file_says_so(made, pattern):
    found = [path for path in made[0].glob(pattern) if path.is_file()]
    found += [path for path in made[0].glob(pattern.replace("/plots/", "/plots/*/")) if path.is_file()]
    assert found
    for path in found:
        assert any(DISPLAYED in text for text in said(path, FILES[pattern])), path


def test_no_file_is_left_out(made):
    folder, _ = made
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name.startswith(("run/", "many/")) and not path.name.startswith("."):
            others = [beside for pattern, beside in BESIDE.items() if fnmatch(name, pattern)]
            assert others or any(fnmatch(name, pattern) for pattern in FILES), f"{name} is in neither list"
            there = [path.parent / other for other in others if (path.parent / other).exists()]
            assert not others or any(DISPLAYED in other.read_text() for other in there), name


def test_the_description_of_each_table_says_so(made):
    package = json.loads((made[0] / "run" / "datapackage.json").read_text())
    assert all(DISPLAYED in resource["description"] for resource in package["resources"])


@pytest.mark.parametrize("command", PRINTED)
def test_what_is_printed_says_so(made, command):
    assert DISPLAYED in made[1][command]


def test_what_evaluations_print_says_so(capsys):
    """For people and for programs: some name what single clips show."""
    evaluate._show({"n": 3}, lambda found: [f"n = {found['n']}"])
    _, about, line = capsys.readouterr().out.splitlines()
    assert about == json.loads(line)["about"] == DISPLAYED


def test_results_in_python_say_so(made):
    result = vidfer.ClipResult.load(made[0] / "run" / "b.png")
    failed = vidfer.analyze(made[0] / "missing.mp4")
    for each in (result, failed):
        assert each.summary["about"] == DISPLAYED
        assert DISPLAYED in each._repr_html_()
    drawn = io.BytesIO()
    result.plot().savefig(drawn, format="pdf")
    assert DISPLAYED.encode() in drawn.getvalue()


def test_the_app_says_so_on_each_page_and_to_programs():
    from vidfer.app.description import render_docs
    from vidfer.app.page import render_page
    from vidfer.app.server import create_app
    from vidfer.app.settings import AppOptions

    description = create_app(AppOptions(), token=None).openapi()
    assert DISPLAYED in description["info"]["description"]
    assert DISPLAYED in render_docs(description, "http://127.0.0.1:7860").decode()
    assert DISPLAYED in render_page()[0].decode()


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in CLASSIFIERS for name in SHIPPED[kind]])
def test_the_card_of_each_classifier_says_so(kind, name):
    assert DISPLAYED in find_weights(kind, name).card["intended_use"]
