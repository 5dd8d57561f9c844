import io
from pathlib import Path

import pytest
from rich.console import Console

from vidfer.cli.clip_bars import LOADING, STAGES, ClipBars, in_words, run_with_bars
from vidfer.cli.logs import Telling, telling
from vidfer.stages.chain import ChainOptions, build_chain
from vidfer.types import ClipError, Status

NAMES = ["holiday.mp4", "[red]a\\x1b[31m.mp4", "c.mp4"]
CLIPS = [Path("clips/holiday.mp4"), Path("clips/[red]a\x1b[31m.mp4"), Path("clips/c.mp4")]


def seen(bars, width=80):
    """Render the bars as a terminal of that width shows them."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(bars.shown.get_renderable())
    return console.file.getvalue().splitlines()


def percents(bars):
    return [task.percentage for task in bars.shown.tasks]


def test_every_stage_has_words_and_a_share():
    assert {stage.name for stage in build_chain(ChainOptions())} <= set(STAGES)
    assert all(words and 0 < share < 1 for words, share in STAGES.values())


@pytest.mark.parametrize("width", [80, 120])
def test_a_clip_goes_from_0_to_100_in_words_and_never_back(width):
    bars = ClipBars(NAMES[:1], 1, tuple(STAGES))
    shown = [seen(bars, width)]
    steps = [(stage, share) for stage in STAGES for share in (0.0, 0.5, 1.0)]
    values = [0.0]
    for stage, share in [*steps, ("faces", 0.2)]:
        bars.update(0, stage, share)
        shown.append(seen(bars, width))
        values += percents(bars)
    assert values == sorted(values)
    assert values[-1] == pytest.approx(100)
    assert LOADING in shown[0][0]
    words = [
        LOADING,  # while the file is opened
        "finding faces",
        "removing noise",
        "reading expressions",
        "listening",
        "deciding",
        "writing tables",
    ]
    assert [next(w for w in words if w in lines[0]) for lines in shown[2:22:3]] == words
    assert all(len(lines) == 1 and len(lines[0]) <= width for lines in shown)
    assert all("holiday.mp4" in lines[0] for lines in shown)


def test_models_are_loading_until_the_first_share():
    bars = ClipBars(NAMES[:1], 1, ("probe", "faces", "report"))
    for stage in ("probe", "faces"):
        bars.update(0, stage, 0.0)
        assert LOADING in seen(bars)[0]
        assert percents(bars) == [0]
    bars.update(0, "faces", 0.01)
    assert "finding faces" in seen(bars)[0]


def test_what_is_stored_already_counts_as_done():
    bars = ClipBars(NAMES[:1], 1, ("faces", "audio", "report"))
    bars.update(0, "report", 0.0)
    before = STAGES["faces"][1] + STAGES["audio"][1]
    assert percents(bars) == [pytest.approx(100 * before / (before + STAGES["report"][1]))]


def test_clips_at_once_have_a_bar_each_below_one_for_all():
    bars = ClipBars(NAMES, 2, ("faces", "report"))
    assert [LOADING in line for line in seen(bars)] == [False, True, True]
    bars.update(1, "faces", 0.5)
    bars.update(0, "faces", 0.1)
    lines = seen(bars)
    assert "0 of 3 clips" in lines[0]
    assert "\x1b[31m" not in "".join(lines)
    assert "[red]a\\x1b[31m.mp4" in lines[2]
    whole = [percents(bars)[0]]
    for position in (1, 0, 2):
        bars.finish(position, "happy")
        whole += percents(bars)[:1]
    assert whole[1:] == sorted(whole[1:])
    assert whole[-1] == pytest.approx(100)
    assert len(seen(bars)) == 1
    assert "3 of 3 clips" in seen(bars)[0]


class ThreeDone:
    def run(self, work, clips, update):
        update(0, "faces", 0.5)
        yield 0, {"status": "ok", "predominant": "happy"}
        yield 2, {"status": "no_face", "predominant": None}
        yield 1, ClipError(Status.CRASHED, "torn")


def run_three(**chosen):
    with telling(Telling(**chosen), ["vidfer"]):
        return [position for position, _ in run_with_bars(lambda *_: {}, CLIPS, ThreeDone())]


def test_without_a_terminal_there_is_a_line_for_each_finished_clip(capsys):
    assert run_three() == [0, 2, 1]
    lines = capsys.readouterr().err.splitlines()
    assert [line.rpartition(",")[0] for line in lines] == [
        "1 of 3: holiday.mp4: happy",
        "2 of 3: c.mp4: no_face",
        "3 of 3: [red]a\\x1b[31m.mp4: crashed",
    ]


def test_quiet_has_neither_bars_nor_lines(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    run_three(quiet=True)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (0.2, "1 s left"),
        (99, "99 s left"),
        (100, "2 min left"),
        (3540, "59 min left"),
        (4500, "1:15 h left"),
    ],
)
def test_time_left_is_said_in_words(seconds, words):
    assert in_words(seconds) == words
