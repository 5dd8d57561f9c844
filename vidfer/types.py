"""The words that every part of vidfer shares: the seven classes, statuses and errors."""

from collections.abc import Callable, Collection, Sequence
from difflib import get_close_matches
from enum import StrEnum
from typing import Final, TypeVar

_T = TypeVar("_T")

EMOTIONS: Final = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The seven displayed expressions, in the order of every probability vector and confusion matrix."""

DISPLAYED: Final = "Displayed expression, not inner state: what is shown, not what is felt."
"""What every output says of itself: tables, summaries, pages, plots, videos, files for other programs, the terminal."""


class Status(StrEnum):
    """What became of a clip, of one of its modalities, or of an audio window.

    Everything but the members of `TRANSIENT` is a fact about the file and is stored like any other result.

    Example:
        >>> from vidfer import Status
        >>> Status.NO_FACE == "no_face"
        True
    """

    OK = "ok"
    PARTIAL = "partial"  # the file breaks off or is damaged: predicted from what could be read
    CORRUPT = "corrupt"
    UNSUPPORTED = "unsupported"  # a text, a playlist, a format outside the whitelist
    NO_VIDEO = "no_video"
    NO_FACE = "no_face"
    NO_AUDIO = "no_audio"
    SILENT = "silent"
    NO_VOICE = "no_voice"  # there is sound, but nobody speaks
    NO_MODEL = "no_model"  # there is speech, and the bundle has no model of sound
    TOO_SHORT = "too_short"
    INVALID_AUDIO = "invalid_audio"  # samples that are not finite numbers
    TOO_LARGE = "too_large"
    REFUSED = "refused"  # the study's file says that there is no consent, or that the retention is over
    UNREADABLE = "unreadable"  # missing, no permission, not a regular file
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    CRASHED = "crashed"


TRANSIENT: Final = frozenset({Status.REFUSED, Status.UNREADABLE, Status.TIMEOUT, Status.OUT_OF_MEMORY, Status.CRASHED})
"""Statuses that depend on the machine, the moment or the study: reported, never stored, so that the next run tries again."""

SOUND_IS_FINE: Final = frozenset(
    {Status.OK, Status.NO_AUDIO, Status.SILENT, Status.NO_VOICE, Status.NO_MODEL, Status.TOO_SHORT}
)
"""Statuses of a clip's sound that say what was recorded; any other is a failure, as is any clip's status but `ok`."""


class VidferError(Exception):
    """An error whose message is written for the user: it names the thing at fault and the remedy.

    Example:
        >>> import vidfer
        >>> try:
        ...     vidfer.Analyzer(image_model="nosuch")
        ... except vidfer.VidferError:
        ...     print("there are no such weights")
        there are no such weights
    """


class UsageError(VidferError):
    """The user asks for something that cannot be: on the command line exit status 2.

    Example:
        >>> import vidfer
        >>> try:
        ...     vidfer.Analyzer(abstain=2)
        ... except vidfer.UsageError as error:
        ...     print(error)
        abstain has to be above 0 and below 1, not 2
    """


class StoppedError(VidferError):
    """Work was ended by a signal that asked for it; what was done is kept, and the same command goes on.

    The exit status is then `STATUS`, so that a scheduler's script can tell it from a failure.
    """

    STATUS: Final = 75  # EX_TEMPFAIL


class ClipError(VidferError):
    """A clip, or one of its modalities, could not be processed: what became of it, and one sentence for the user.

    Example:
        >>> from vidfer import ClipError, Status
        >>> ClipError(Status.NO_FACE, "no face was found").status
        <Status.NO_FACE: 'no_face'>
    """

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def parse_list(
    text: str, item: Callable[[str], _T], *, what: str, example: str = "", choices: Collection[_T] = ()
) -> tuple[_T, ...]:
    """Parse values divided by commas, such as `0.9, 1.1`; spaces around them and a comma at the end do not matter.

    Messages say `what` each value is, and give the example. `item` makes a value of a part, or raises ValueError.

    Raises:
        UsageError: There is no value, a part is none, is not among the choices (empty for any), or occurs twice.
    """
    found: list[_T] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            value = item(part)
        except ValueError as error:
            hint = f", such as {example}" if example else ""
            raise UsageError(f"'{part}' is no {what} in '{text}': give a list divided by commas{hint}") from error
        if choices and value not in choices:
            raise UsageError(f"no {what} '{part}': there are {', '.join(map(str, choices))}")
        if value in found:
            raise UsageError(f"'{text}' names {part} twice")
        found.append(value)
    if not found:
        raise UsageError(f"'{text}' names no {what}" + (f": give a list such as {example}" if example else ""))
    return tuple(found)


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return `: did you mean NAME?` where a known name is like the word, else nothing."""
    near = get_close_matches(word, known, 1)
    return f": did you mean {near[0]}?" if near else ""
