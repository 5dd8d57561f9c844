"""Names that hold a terminal's commands or rich's markup: every command that prints names shows them as they are."""

import ast
import json
import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

import vidfer.cli
from tests.results.fake import tables_of
from tests.results.made import summary_of
from vidfer.api.many import ManifestRun
from vidfer.cli.clip_bars import ClipBars
from vidfer.cli.data import _print_counts
from vidfer.cli.logs import Telling, telling
from vidfer.cli.main import main
from vidfer.cli.manifest import _print_run
from vidfer.cli.overview import print_overview
from vidfer.cli.pipeline import _print_rows
from vidfer.cli.put import one_line, put_error
from vidfer.cli.sweep import print_trials
from vidfer.results.clip_folder import write_clip
from vidfer.results.run_folder import rebuild
from vidfer.training.search import Trial

NAMES = (
    *(
        "[red]x",
        "[/]",
        "[/red]y",
        "[bold",
        "[link=https://x.org]y[/link]",
        "\\[x]",
        "[[z]]",
        ":smile:",
        "[@click=x]q[/]",
    ),
    *(
        "\x1b[31mred",
        "\x1b]0;title\x07",
        "\x9b31m",
        "a\rb",
        "a\nINJECTED",
        "\x08\x08\x0cx",
        "\x7f",
        "\u202egpj",
        "\u2066x\u2069",
    ),
)
FEW = ("[red]x", "[/]", "\x1b[31mred", "\u202egpj", "a\nINJECTED")
"""Those for what takes a run of its own."""


def of_a_run(*verb, options=()):
    def show(name, folder):
        run, clip = folder / "run", f"{one_line(name).replace('/', '-')}.mp4"
        write_clip(run / clip, clip, tables_of(clip), summary_of(2, clip=name))
        rebuild(run)
        rows = pd.read_csv(run / "people.csv", dtype=str, keep_default_na=False)
        rows.assign(name=[name, "B"]).to_csv(run / "people.csv", index=False)
        assert main(["people", "apply", str(run)]) == 0
        assert main([*verb, str(run), *options]) == 0

    return show


def sweep(name, folder):
    of_one = {"name": name, "fixed": False}
    shown = SimpleNamespace(metric=name, parameters=[SimpleNamespace(**of_one)])
    print_trials(shown, [Trial(0, {name: name}, 0.5), Trial(1, {name: 1}, None, reason=name)])


def overview(name, folder):
    models = {"image": {"weights": f"{name}.safetensors", "network": name}}
    summary = summary_of(1, clip=name, clip_id=name, models=models, bundle=name, preset=name)
    summary["faces"] = {**summary["faces"], "n_unusable": 40, "n_faces": 40, "message": name}
    print_overview([summary])


def registry(name, folder):
    digests = {".json": "0" * 64, ".safetensors": "1" * 64}
    entry = {
        "kind": "image",
        "licence": name,
        "about": name,
        "url": "https://example.org/",
        "size": 5,
        "sha256": digests,
    }
    (folder / "registry.json").write_text(json.dumps({"weights": {"mine": entry}}))
    assert main(["weights", "list", "--registry", str(folder / "registry.json")]) == 0


def bars(name, folder):
    shown = ClipBars([name, name], 2, ["faces"])
    with telling(Telling(), ["vidfer"]), shown.shown:
        shown.update(0, "faces", 0.5)
        shown.finish(0, "ok")


SHOWN = {
    "people list": of_a_run("people", "list"),
    "export": of_a_run("export", options=("--format", "webvtt")),
    "sweep": sweep,
    "analyze": overview,
    "progress": bars,
    "weights list": registry,
    "pipeline": lambda name, folder: _print_rows(("step", "key"), [(name, name)], name),
    "data": lambda name, folder: _print_counts(SimpleNamespace(counts={name: Counter({"": 1})})),
    "manifest": lambda name, folder: _print_run(ManifestRun(folder / "x", 1, {name: 1}, {name: 1}, 0, ())),
    "errors": lambda name, folder: put_error("vidfer", name),
}

COMMAND = "\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069"


@pytest.mark.parametrize("what", SHOWN)
def test_names_are_shown_as_they_are(what, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    for number, name in enumerate(FEW if what in ("people list", "export") else NAMES):
        folder = tmp_path / str(number)
        folder.mkdir()
        SHOWN[what](name, folder)
        said = "".join(capsys.readouterr())
        assert not re.search(f"[{COMMAND}]", said), ascii(said)
        assert not re.search("^INJECTED", said, re.MULTILINE), ascii(said)
        assert one_line(name) in said or (what == "export" and "/" in name), ascii(said)


def test_no_command_hands_rich_a_text_of_its_own():
    """Strings are taken for markup, and texts keep a terminal's commands: both come through `cell`, or are constants."""
    found = []
    for path in sorted(Path(vidfer.cli.__file__).parent.glob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call):
                name = getattr(call.func, "attr", getattr(call.func, "id", ""))
                first = call.args[0] if call.args else ast.Constant("")
                if (name == "Text" and path.name != "put.py") or (
                    name == "add_column" and isinstance(first, ast.JoinedStr)
                ):
                    found.append(f"{path.name}:{call.lineno}")
    assert not found
