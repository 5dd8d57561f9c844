"""Files and folders that are closed to the user, at every place that a command is given: a status or a sentence."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.faults.command import environment
from vidfer.media.find import find_clips
from vidfer.pipeline.paths import real

RUN = """
import json, sys
from contextlib import redirect_stderr
from io import StringIO
from vidfer.cli.main import main
for words in json.loads(sys.argv[1]):
    said = StringIO()
    with redirect_stderr(said):
        try:
            code = main(words)
        except SystemExit as ended:
            code = ended.code
        except Exception as error:
            code = repr(error)
    print(json.dumps([code, said.getvalue()]), file=sys.__stderr__)
"""
"""Run commands one after the other; a line of JSON for each."""

PLACES = ("closed", "closed/x", "entries/a.mp4")
COMMANDS = (
    "analyze {} --out out",
    "analyze in --out {}",
    "analyze in --out out --store {}",
    "analyze in --out out --participants {}",
    "analyze in --out out --markers {}",
    "analyze in --out out --models {}",
    "analyze in --out out --weights {}",
    "analyze in --out out --log-file {}",
    "analyze in --out out --config {}",
    "analyze --manifest {} --out out",
    "export {} --format elan",
    "compare {} --by condition",
    "plot {} --kind timeline",
    "people list {}",
    "people apply {}",
    "purge --all --out {}",
    "purge --all --log {}",
    "cache list --store {}",
    "cache verify --store {}",
    "demo --out {}",
)


@pytest.fixture
def folder(tmp_path):
    """A folder `in` with a text, `closed` that may not be entered, and `entries` whose names may be read, and nothing else."""
    for name in ("in", "closed", "entries"):
        (tmp_path / name).mkdir()
    (tmp_path / "in" / "a.mp4").write_text("no video")
    (tmp_path / "entries" / "a.mp4").write_text("no video")
    (tmp_path / "entries" / "link").symlink_to("a.mp4")
    (tmp_path / "entries" / "folder").mkdir()
    (tmp_path / "closed").chmod(0o000)
    (tmp_path / "entries").chmod(0o444)
    yield tmp_path
    for name in ("closed", "entries"):
        (tmp_path / name).chmod(0o755)


def said(folder, *commands):
    """Run commands as a user whom the rights of files bind, as they do not bind root; return statuses and sentences."""
    bound = [] if os.geteuid() else ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if bound and shutil.which(bound[0]) is None:
        pytest.skip("root without setpriv")
    words = [*bound, sys.executable, "-c", RUN, json.dumps([each.split() for each in commands])]
    env = environment(VIDFER_STORE=str(folder / "store"))
    run = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=True, timeout=300)
    return [json.loads(line) for line in run.stderr.splitlines()]


@pytest.mark.parametrize("place", [PLACES[-1], *(pytest.param(each, marks=pytest.mark.slow) for each in PLACES[:-1])])
def test_closed_places_are_named_in_a_sentence_by_every_command(folder, place):
    commands = [command.format(place) for command in COMMANDS]
    for command, (code, sentence) in zip(commands, said(folder, *commands), strict=True):
        assert code in (0, 1, 2), f"{command}: {code}"
        if code:
            assert re.search("closed|entries", sentence), (command, sentence)


def test_a_link_that_may_not_be_read_is_as_it_is_named(monkeypatch, tmp_path):
    (tmp_path / "link").symlink_to("x")
    monkeypatch.setattr("os.readlink", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    assert real(tmp_path / "link") == tmp_path / "link"
    assert [path for path, _ in find_clips([tmp_path])] == [tmp_path / "link"]
