"""What is told while a command works: on standard error as much as `-q` and `-v` ask for, and everything in a log file.

All of it goes through the logger `vidfer`: `debug` for stages, `info` for notes and progress in words, `warning` and above for
what nobody may miss. What the command has found out goes to standard output and is no matter of this module.
"""

import argparse
import logging
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vidfer import __version__
from vidfer.cli.put import printable, put
from vidfer.types import UsageError, VidferError

LOG: Final = logging.getLogger("vidfer")


@dataclass(frozen=True)
class Telling:
    """How much is told.

    Args:
        quiet: Print results and faults alone, no progress and no notes.
        verbose: Print every stage's key and time, and what libraries say.
        log_file: Add everything that `--verbose` prints to this file, with times.
    """

    quiet: bool = field(default=False, metadata={"short": "-q"})
    verbose: bool = field(default=False, metadata={"short": "-v"})
    log_file: Path | None = field(default=None, metadata={"metavar": "FILE"})

    def __post_init__(self) -> None:
        """Refuse both at once."""
        if self.quiet and self.verbose:
            raise UsageError("--quiet and --verbose exclude each other: give one of them")

    @property
    def level(self) -> int:
        """The lowest level of vidfer's own records on standard error."""
        return logging.WARNING if self.quiet else logging.DEBUG if self.verbose else logging.INFO


class _Line(logging.Formatter):
    """One line a record, without control characters, which a file's name may hold; others' records name who speaks."""

    def __init__(self, *, dated: bool) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s" if dated else "%(message)s", "%Y-%m-%dT%H:%M:%S%z")

    def format(self, record: logging.LogRecord) -> str:
        foreign = "" if _ours(record) else f"{record.name}: "
        copy = logging.makeLogRecord({**record.__dict__, "msg": foreign + record.getMessage().strip(), "args": None})
        return printable(super().format(copy))


class _Terminal(logging.Handler):
    """Standard error as it is at the time, since a progress bar or a test may stand in for it."""

    def __init__(self, telling: Telling, *, others: bool) -> None:
        super().__init__(telling.level)
        self.setFormatter(_Line(dated=False))
        if not (others or telling.verbose):
            self.addFilter(_ours)

    def emit(self, record: logging.LogRecord) -> None:
        put(self.format(record), error=True, indent="", flush=True)


class _LogFile(logging.FileHandler):
    """A log file that may become full: that is said once, then nothing more is written, and the command ends with status 1."""

    fault: OSError | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self.fault is None:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif self.fault is None:
            self.fault = error
            LOG.warning("the log file %s cannot be written (%s): nothing more goes into it", *self.told())

    def told(self) -> tuple[str, str]:
        """Its path, and why it cannot be written."""
        return self.baseFilename, str(self.fault and self.fault.strerror)

    def close(self) -> None:
        try:
            super().close()
        except OSError as error:  # what the buffer holds
            self.fault = self.fault or error


@contextmanager
def telling(chosen: Telling, command: Sequence[str], *, others: bool = False) -> Iterator[None]:
    """Send the records of everything in the block where they were asked for, and name the command in the log file first.

    Warnings of libraries (torch, for one) are kept out of the terminal unless `chosen` is verbose, or with `others`, as the
    training stages want it, whose reports go by Lightning's loggers.

    Raises:
        VidferError: The log file cannot be written.
    """
    root = logging.getLogger()
    file = None if chosen.log_file is None else _open(chosen.log_file)
    handlers: list[logging.Handler] = [_Terminal(chosen, others=others), *([file] if file else [])]
    before = LOG.level
    LOG.setLevel(logging.DEBUG if file else chosen.level)
    for handler in handlers:
        root.addHandler(handler)
    started = time.monotonic()
    try:
        logging.captureWarnings(not others)
        if file:
            _note(file, f"vidfer {__version__}: {shlex.join(command)}")
        yield
        if file and file.fault:
            path, reason = file.told()
            raise VidferError(f"the log file {path} is not whole ({reason}): free some space there; all else is done")
    except BaseException as error:
        if file:
            expected = isinstance(error, VidferError | KeyboardInterrupt | SystemExit)
            _note(file, f"ended by {type(error).__name__}: {error}", None if expected else error)
        raise
    finally:
        if file:
            _note(file, f"ended after {time.monotonic() - started:.1f} s")
            file.close()
        logging.captureWarnings(False)
        for handler in handlers:
            root.removeHandler(handler)
        LOG.setLevel(before)


def separate(words: Sequence[str]) -> tuple[Telling, list[str]]:
    """Take the options of `Telling` out of the words of a command that knows nothing of them; the others stay in order."""
    parser = argparse.ArgumentParser(prog="vidfer", add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-q", "--quiet", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("--log-file", type=Path)
    try:
        found, rest = parser.parse_known_args(list(words))
    except argparse.ArgumentError as error:
        raise UsageError(f"--log-file: {error.message}") from error
    return Telling(**vars(found)), rest


def _open(path: Path) -> _LogFile:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _LogFile(path, mode="a", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"--log-file: {path} cannot be written: {error.strerror}") from error
    file.setFormatter(_Line(dated=True))
    return file


def _note(file: logging.Handler, message: str, error: BaseException | None = None) -> None:
    """Write a line to the log file alone; an error nobody expected with its traceback."""
    info = None if error is None else (type(error), error, error.__traceback__)
    level = logging.INFO if error is None else logging.ERROR
    file.handle(logging.LogRecord("vidfer", level, __file__, 0, message, None, info))


def _ours(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] == "vidfer"
