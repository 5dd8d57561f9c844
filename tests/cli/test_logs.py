import logging
import re
import sys
import warnings

import pytest

from vidfer.cli.logs import LOG, Telling, separate, telling
from vidfer.cli.main import main
from vidfer.cli.put import printable
from vidfer.types import UsageError, VidferError


def speak():
    LOG.debug("stage")
    LOG.info("note")
    LOG.warning("warning")
    LOG.error("fault")
    logging.getLogger("library.part").warning("chatter")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("a remark", UserWarning, stacklevel=1)


def fail():
    speak()
    LOG.info("a\x1b[31m\udce9")
    raise VidferError("the store is full")


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        (Telling(), ["note", "warning", "fault"]),
        (Telling(quiet=True), ["warning", "fault"]),
        (Telling(verbose=True), ["stage", "note", "warning", "fault", "library.part: chatter", "py.warnings: "]),
    ],
)
def test_standard_error_has_what_was_asked_for(chosen, told, capsys):
    with telling(chosen, ["vidfer"]):
        speak()
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("  ")]
    assert [line if "py.warnings" not in line else "py.warnings: " for line in lines] == told


def test_nothing_is_left_behind(capsys):
    before = logging.getLogger().handlers[:], LOG.level, warnings.showwarning
    with pytest.raises(ValueError, match="x"), telling(Telling(), ["vidfer"]):
        raise ValueError("x")
    assert (logging.getLogger().handlers, LOG.level, warnings.showwarning) == before


def test_the_library_alone_prints_nothing(capsys):
    LOG.error("nobody asked for it")
    assert capsys.readouterr().err == ""


def test_the_log_file_has_everything_with_times_and_is_added_to(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        logging.getLogger(), "handlers", []
    )  # pytest-xdist cannot send a stray byte that pytest captured
    file = tmp_path / "logs" / "run.log"
    for _ in range(2):
        with pytest.raises(VidferError), telling(Telling(quiet=True, log_file=file), ["vidfer", "analyze", "my clip"]):
            fail()
    lines = file.read_text("utf-8").splitlines()
    assert sum("INFO vidfer " in line and line.endswith(": vidfer analyze 'my clip'") for line in lines) == 2
    own = [line for line in lines if re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} [A-Z]+ ", line)]
    assert len([line for line in own if line.endswith("DEBUG stage")]) == 2
    text = "\n".join(lines)
    assert all(
        text.count(each) == 2 for each in ("library.part: chatter", "UserWarning: a remark\n", "a\\x1b[31m\\udce9")
    )
    assert text.count("INFO ended by VidferError: the store is full") == 2


def test_a_fault_nobody_expected_is_in_the_log_file_with_its_traceback(tmp_path):
    file = tmp_path / "run.log"
    with pytest.raises(ZeroDivisionError), telling(Telling(log_file=file), ["vidfer"]):
        1 / 0  # noqa: B018
    assert "ZeroDivisionError" in file.read_text()
    assert "Traceback" in file.read_text()


def test_a_log_file_that_cannot_be_written_is_wrong_usage(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UsageError, match=r"--log-file: .*run\.log cannot be written"),
        telling(Telling(log_file=tmp_path / "file" / "run.log"), ["vidfer"]),
    ):
        pass


@pytest.mark.parametrize("before", [True, False])
def test_every_verb_takes_the_options_before_and_behind_it(before, tmp_path, capsys):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    words = ["analyze", str(tmp_path / "a.mp4"), "--out", str(tmp_path / "out"), "--store", str(tmp_path / "s")]
    options = ["-q", "--log-file", str(tmp_path / "run.log")]
    assert main([*options, *words] if before else [*words, *options]) == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1  # the fault, and no progress
    assert "unsupported" in told[0]
    log = (tmp_path / "run.log").read_text()
    assert told[0] in log
    assert "1 of 1: a.mp4: unsupported" in log


def test_quiet_and_verbose_exclude_each_other(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["doctor", "-q", "-v"])
    assert "exclude each other" in capsys.readouterr().err


def test_options_of_a_training_are_taken_out_of_its_words():
    words = ["fit", "--config", "a.yaml", "-q", "--trainer.max_epochs=2", "--log-file=x.log"]
    chosen, rest = separate(words)
    assert (chosen.quiet, str(chosen.log_file)) == (True, "x.log")
    assert rest == ["fit", "--config", "a.yaml", "--trainer.max_epochs=2"]
    with pytest.raises(UsageError, match="--log-file"):
        separate(["fit", "--log-file"])


@pytest.mark.parametrize(
    "text", ["a\x07b", "\x1b]0;title\x07", "caf\udce9", "\ud800", "\x9b31m", "\u202egpj", "\u2066a\u2069", "\u2028"]
)
def test_what_is_printed_can_be_encoded_and_controls_nothing(text):
    shown = printable(text)
    shown.encode(sys.stdout.encoding or "utf-8")
    assert shown.isprintable()
