"""Write docs/reference/terminal.md: what the command prints, captured from a terminal of 80 and of 120 columns.

Each command runs in a pseudo-terminal, on clips made for it, and what it sends is drawn by a terminal emulator (pyte), so that
a page is what a person would see. `make pages` runs it; it takes two minutes and needs no data. With `helps` as its argument it
captures the help alone, in seconds.
"""

import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
PAGE, SUMMARIES = ROOT / "docs" / "reference" / "terminal.md", ROOT / "tests" / "cli" / "terminal_summaries.json"
WIDTHS = (80, 120)
HEAD = """# What the command prints

Captured by `make pages` from terminals of 80 and of 120 columns, on clips that it makes of a bundled portrait; their answers mean
nothing. Colours only repeat what the words say.
"""


def screens(words: Sequence[str], columns: int, folder: Path) -> Iterator[str]:
    """Run `vidfer` with these words in a terminal of so many columns, and yield what it shows each time that changes."""
    import pyte

    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 200, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    environment |= {"TERM": "xterm-256color", "VIDFER_STORE": "store", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "vidfer", *words], cwd=folder, env=environment, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    screen = pyte.Screen(columns, 200)
    stream, last = pyte.ByteStream(screen), ""
    with suppress(OSError):  # the end of a terminal's other side
        while select.select([master], [], [])[0] and (data := os.read(master, 1 << 16)):
            stream.feed(data)
            if (text := "\n".join(line.rstrip() for line in screen.display).rstrip()) != last:
                last = text
                yield text
    os.close(master)
    process.wait()


def captured(words: Sequence[str], columns: int, folder: Path, *wanted: Callable[[str], bool]) -> list[str]:
    """Return the first screen for which each of the conditions holds, and the last one."""
    found: list[str | None] = [None] * len(wanted)
    last = ""
    for last in screens(words, columns, folder):
        found = [text or (last if holds(last) else None) for text, holds in zip(found, wanted, strict=True)]
    missing = [number for number, text in enumerate(found) if text is None]
    if missing:
        raise SystemExit(f"vidfer {' '.join(words)}: no screen was as wanted ({missing}); the last one:\n{last}")
    return [*filter(None, found), last]


def half_way(text: str) -> bool:
    """Tell whether a clip is past its faces, and not yet at its end."""
    return bool(re.search(r"(listening|reading expressions) .* [678]\d %", text))


def block(words: Sequence[str], screen: str) -> str:
    """Return a screen as a block of Markdown, under the command."""
    return f"```text\n$ vidfer {' '.join(words)}\n{screen}\n```\n"


def pages(columns: int, folder: Path) -> Iterator[str]:
    """Yield the sections of a terminal of so many columns."""
    out = f"results-{columns}"
    yield f"## {columns} columns\n"
    yield from helps(columns, folder)
    words = ["analyze", "clips", "--jobs", "2", "--out", out]
    started, middle, end = captured(words, columns, folder, lambda text: "loading models" in text, half_way)
    yield f"### Progress\n\nAt the start:\n\n{block(words, started)}\nA moment later:\n\n{block(words, middle)}"
    yield f"### Overview\n\n{block(words, end)}"
    words = ["analyze", "broken", "--out", out]
    yield f"### A clip that cannot be read\n\n{block(words, captured(words, columns, folder)[-1])}"
    words = ["data", "check", "afew"]
    yield f"### A data set that is not there\n\n{block(words, captured(words, columns, folder)[-1])}"
    for title, words in (("Doctor", ["doctor"]), ("Demo", ["demo"])):
        yield f"### {title}\n\n{block(words, captured(words, columns, folder)[-1])}"


def helps(columns: int, folder: Path) -> Iterator[str]:
    """Yield the sections that need no clip."""
    for title, words in (("Help", ["--help"]), ("Help of a verb", ["analyze", "--help"])):
        yield f"### {title}\n\n{block(words, captured(words, columns, folder)[-1])}"


def renew_helps() -> None:
    """Put the help of now into the page, and leave the other sections as they were captured."""
    head, *parts = re.split(r"(?m)^(?=## )", PAGE.read_text("utf-8"))
    for number, columns in enumerate(WIDTHS):
        rest = parts[number].partition("### Progress\n")[2]
        parts[number] = "\n".join([f"## {columns} columns\n", *helps(columns, ROOT), f"### Progress\n{rest}"])
    PAGE.write_text("".join([head, *parts]), "utf-8")


def make_clips(folder: Path) -> None:
    """Make two clips, one with a long path, and a file that is none."""
    from vidfer.datasets.synthetic import write_demo_clip

    write_demo_clip(folder / "clips" / "portrait.mp4", seconds=6)
    deep = folder / "clips" / "second session, with another participant" / "camera 1"
    write_demo_clip(deep / "portrait in the evening, turned.mp4", seconds=4, noise_sigma=40)
    (folder / "broken").mkdir()
    (folder / "broken" / "interview.mp4").write_bytes((folder / "clips" / "portrait.mp4").read_bytes()[:20_000])


def main() -> None:
    """Write the page, and the summaries that its overviews are of."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        make_clips(folder)
        sections: list[str] = []
        for columns in WIDTHS:
            subprocess.run(["rm", "-rf", folder / "store", folder / "demo"], check=True)
            sections += pages(columns, folder)
        words = [sys.executable, "-m", "vidfer", "analyze", "clips", "--out", "results-80", "--json"]
        environment = {**os.environ, "VIDFER_STORE": "store", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(words, cwd=folder, env=environment, check=True, capture_output=True, text=True)
    summaries = [json.loads(line) for line in done.stdout.splitlines()]
    shown = (
        "clip",
        "clip_id",
        "status",
        "message",
        "predominant",
        "margin",
        "faces",
        "sound",
        "fused",
        "people",
        "settings",
        "denoise",
        "media",
    )
    kept = [{each: summary[each] for each in (*shown, "bundle", "preset", "models")} for summary in summaries]
    for summary in kept:
        summary["people"] = [{} for _ in summary["people"]]  # the overview only counts them
        summary["media"] = {"sampling_rate": summary["media"]["sampling_rate"]}
    SUMMARIES.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")
    PAGE.write_text("\n".join([HEAD, *sections]), "utf-8")


if __name__ == "__main__":
    renew_helps() if sys.argv[1:] == ["helps"] else main()
