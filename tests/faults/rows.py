"""The faults that vidfer is tested against, one row each, and the table of what was measured."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

BEGIN, END = "<!-- faults: written by make faults-page -->", "<!-- end of faults -->"

FAULTS: dict[int, tuple[str, str]] = {
    1: (
        "two writers of one store killed (SIGKILL) at random moments",
        "nothing lost, nothing damaged visible; a writer without the store's precautions fails the same test",
    ),
    2: (
        "a whole `vidfer analyze` over 20 clips, parent and children, killed 20 times; `vidfer purge` before each of its changes",
        "the tables of an undisturbed run; at most the clips in flight are computed again; no process is left. The same purge "
        "ends what was begun, nothing half removed is served, other clips stay as they are",
    ),
    3: (
        "a full disk at each stage, checkpoint, export and report",
        "exit status not 0, a message with the path and what to free; earlier results readable; a later run completes",
    ),
    4: (
        "checkpoint writing killed or out of space, with TMPDIR on another file system",
        "the previous checkpoint always loads",
    ),
    5: (
        "a byte flipped or the tail cut in any type of artifact, part of a manifest's run, mirror, weights and checkpoints",
        "found by full verification, quarantined, computed again; shipped weights are checked before use",
    ),
    6: ("four runs at once on one store", "the same digests, no error"),
    7: (
        "odd media files of every kind and random mutants of good ones",
        "a typed status within the time limit + 5 s; the parent never dies",
    ),
    8: (
        "a child that hangs, crashes, aborts, takes all memory, or prints without end",
        "only its clip fails; the next begins within 5 s; the message names the signal",
    ),
    9: (
        "huge frames, declared durations of hours, thousands of tracks, hundreds of faces",
        "refused or bounded before memory is spent",
    ),
    10: (
        "decord beside PyAV",
        "equal pixels and times within 1 ms for what decord is allowed; it never gets what it is not",
    ),
    11: (
        "edit lists, variable frame rate, rotation, truncation, change of size",
        "the exact frames, upright, at the right times; `partial` says how much is missing",
    ),
    12: (
        "playlists, links, and hostile names of files, clips and people",
        "nothing outside the input is read, nothing outside the output written; CSV and HTML stay inert",
    ),
    13: ("code in any file that is loaded", "it never runs"),
    14: (
        "odd sound: very short, NaN, silent, clipped, other rates, channels and sample formats",
        "a typed status or 1582 finite values; features that move by more than 10 % against 16 kHz are counted",
    ),
    15: (
        "odd pictures: no face, 30 faces, profile, tiny, gray, alpha, 10 x 10 pixels",
        "no exception; a batch gives what single pictures give",
    ),
    16: ("any parameter of any stage changed", "exactly that stage and those after it are computed again"),
    17: ("a stage's output changed", "noticed, unless the stage's `version` changed with it"),
    18: ("1,000 clips in one process", "memory grows by less than 5 % after clip 100; open files stay as many"),
    19: (
        "clock set back, hard links, a clip replaced during a run, a read-only input folder, closed files and folders, "
        "a store on another device",
        "the right answer or a clear refusal",
    ),
    20: ("unusual layouts of streams, combined", "the frames and windows of the plain layout"),
    21: (
        "clocks that start below zero, pause, jump or run over",
        "one time line for pictures and sound, or a warning that names the jump",
    ),
    22: (
        "several tracks of sound, antiphase, silent channels, 5.1",
        "what a player lets be heard is heard; the choice is told",
    ),
    23: (
        "unusual surroundings: user, home, folders, streams, locale, limits, network, two versions of vidfer",
        "it works, or one sentence names the remedy",
    ),
    24: (
        "500 clips of the kinds above, in random order, in two jobs, with kills and a store that fills up",
        "every clip ends as it does alone; nothing stored differs; no process, file or lock is left",
    ),
}
"""Of each row: what happens, and what holds nevertheless."""


@dataclass
class Row:
    """What the tests of one row came to."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    figures: tuple[str, ...] = ()

    def outcome(self) -> str:
        """Its tests in words, such as "12 passed, 1 skipped"; "not run" without any."""
        counts = (("passed", self.passed), ("failed", self.failed), ("skipped", self.skipped))
        return ", ".join(f"{n} {word}" for word, n in counts if n) or "not run"


def markdown(rows: dict[int, Row]) -> str:
    """The table of docs/reliability.md."""
    lines = ["| # | what happens | what holds | measured | tests |", "|---|---|---|---|---|"]
    for number, (fault, promise) in FAULTS.items():
        row = rows.get(number, Row())
        lines.append(f"| {number} | {fault} | {promise} | {'; '.join(row.figures)} | {row.outcome()} |")
    return "\n".join(lines)


def text(rows: dict[int, Row]) -> Iterable[str]:
    """Lines for a terminal: of each row its tests and figures."""
    for number, (fault, _) in FAULTS.items():
        row = rows.get(number, Row())
        yield f"{number:>2} {fault}"
        yield f"   {row.outcome()} in {row.seconds:.0f} s"
        yield from (f"   {figure}" for figure in row.figures)


def write_page(path: Path, rows: dict[int, Row]) -> None:
    """Put the table between the two marks of a page."""
    before, rest = path.read_text().split(BEGIN)
    after = rest.split(END)[1]
    path.write_text(f"{before}{BEGIN}\n\n{markdown(rows)}\n\n{END}{after}")
