"""Code blocks of the documentation, run in order as they stand.

Each page has a folder of its own and one Python namespace. A block's language says what is done with it:

- `sh`, or none: its commands run, those of vidfer in this process; `make demo` is what its recipe says.
- `python`: it runs, and what earlier blocks defined is there.
- `text`: what the block before it printed: the same words, and numbers of the same form.
- `csv`: the file that the line before names in backticks.
- `json`, `yaml`: it can be read.

Commands that begin with a name of `without` are only checked: the reason stands there.
"""

import contextlib
import io
import json
import re
import shlex
import subprocess

import pytest
import yaml
from sybil import Document
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

from tests.conftest import ROOT
from vidfer.cli.main import main

MAKEFILE = ROOT / "Makefile"
DECIMAL = re.compile(r"\d+\.\d+")
SHELL = {"", "sh", "bash", "console"}
FENCED = FencedCodeBlockLexer(language="[a-z]*", mapping={"language": "language", "source": "source"})


class Page:
    """A page, its folder, and what its commands printed."""

    def __init__(self, path, folder, without=None, near=None):
        self.path, self.folder, self.without, self.near = ROOT / path, folder, dict(without or {}), near
        self.printed, self.said, self.skipped = "", {}, []
        self.document = Document.parse(str(self.path), self._regions)
        self._python = PythonEvaluator()

    def _regions(self, document):
        for region in FENCED(document):
            region.parsed, region.evaluator = region.lexemes["source"], self._evaluate
            yield region

    def blocks(self, *languages):
        """Return the text of all blocks in one of the languages, in order."""
        found = [example.region for example in self.document.examples()]
        return [str(region.parsed) for region in found if region.lexemes["language"] in languages]

    def run(self):
        """Run all blocks; return what each command printed, by its words."""
        with contextlib.chdir(self.folder):
            for example in self.document.examples():
                example.evaluate()
        return self.said

    def _evaluate(self, example):
        language = example.region.lexemes["language"]
        if language in SHELL:
            self.printed = "".join(self._command(line) for line in commands(example.parsed))
        elif language == "python":
            with _captured() as printed:
                self._python(example)
            self.printed = printed.getvalue()
        elif language == "text":
            assert_printed(example.parsed, self.printed, self.near)
        elif language == "csv":
            before = self.document.text[: example.region.start].rstrip().splitlines()[-1]
            (self.folder / re.search(r"`([\w/.-]+)`", before)[1]).write_text(example.parsed)
        else:
            {"json": json.loads, "yaml": yaml.safe_load}[language](example.parsed)

    def _command(self, line):
        reason = next((name for name in self.without if line == name or line.startswith(f"{name} ")), None)
        if reason is not None:
            self.skipped.append(reason)
            check(line)
            return ""
        words = demo(line) if line.startswith("make ") else shlex.split(line)
        if words[0] == "vidfer":
            with _captured() as printed:
                assert main(words[1:]) == 0, f"{line}\n{printed.getvalue()}"
            self.said[line] = printed.getvalue()
        else:
            done = subprocess.run(["bash", "-ec", line], capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{line}\n{done.stderr}"
            self.said[line] = done.stdout
        return self.said[line]


@contextlib.contextmanager
def _captured():
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        yield printed


def commands(block):
    """Return the commands of a block without their comments; a backslash at a line's end goes on with it."""
    lines = re.sub(r"\s*\\\n\s*", " ", block).splitlines()
    stripped = [re.sub(r"(^|\s+)#.*$", "", line).strip().removeprefix(".venv/bin/") for line in lines]
    return [line for line in stripped if line]


def recipe(target):
    """Return the commands of a target of the Makefile."""
    found = re.search(rf"^(?:[a-z -]+ )?{target}(?: [a-z -]+)?:.*\n((?:\t.*\n)+)", MAKEFILE.read_text(), re.MULTILINE)
    assert found, f"the Makefile has no target {target}"
    return [line.lstrip("\t@") for line in found[1].splitlines()]


def demo(line):
    """Return the words of vidfer that `make demo` runs."""
    assert line == "make demo", f"{line}: name it among those that are not run, or say how"
    (first,) = [command for command in recipe("demo") if "$(BIN)/vidfer demo" in command]
    return shlex.split(re.sub(r"^\$\(BIN\)/|\$\(.*\)", "", first))


def check(line):
    """Check a command that is not run: its target exists, or vidfer can read its options."""
    words = shlex.split(line)
    if words[0] == "make":
        for word in words[1:]:
            assert "=" in word or recipe(word)
    elif words[0] == "vidfer" and words[1] != "train":
        with _captured() as printed, pytest.raises(SystemExit) as ended:
            main([*words[1:], "--print_config"])  # reads the options, prints them, and ends
        assert ended.value.code in {None, 0}, f"{line}\n{printed.getvalue()}"


def assert_printed(shown, printed, near=None):
    """Hold what a page shows against what was printed.

    Lines are in order, `...` stands for any, rules may be of any length, and numbers are of the same form; where `near` is given,
    those with decimals differ by no more than that.
    """
    where = iter(_lines(printed))
    skip = False
    for line in _lines(shown):
        if line == "...":
            skip = True
            continue
        found = next((other for other in where if not skip or _form(other) == _form(line)), "")
        assert _form(found) == _form(line), f"the page shows\n  {line}\nand printed was\n  {found}\nof\n{printed}"
        if near is not None:
            numbers = [[float(value) for value in DECIMAL.findall(text)] for text in (line, found)]
            assert numbers[0] == pytest.approx(numbers[1], abs=near), (
                f"the page shows\n  {line}\nand printed was\n  {found}"
            )
        skip = False


def _lines(text):
    lines = (re.sub(r"[─━]+", "─", " ".join(line.split())) for line in text.splitlines())
    return [line for line in lines if line]


def _form(line):
    return re.sub(r"\d+", "0", line)
