"""The words that every part of vidfer shares: the seven classes, statuses and errors."""

from enum import StrEnum
from typing import Final

EMOTIONS: Final = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The seven displayed expressions, in the order of every probability vector and confusion matrix."""


class Status(StrEnum):
    """What became of a clip, of one of its modalities, or of an audio window.

    Everything but the members of `TRANSIENT` is a fact about the file and is stored like any other result.
    """

    OK = "ok"
    PARTIAL = "partial"  # the file breaks off or is damaged: answered from what could be read
    CORRUPT = "corrupt"
    UNSUPPORTED = "unsupported"  # a still, a text, a format outside the whitelist
    NO_VIDEO = "no_video"
    NO_FACE = "no_face"
    NO_AUDIO = "no_audio"
    SILENT = "silent"
    NO_VOICE = "no_voice"  # there is sound, but nobody speaks
    TOO_SHORT = "too_short"
    INVALID_AUDIO = "invalid_audio"  # samples that are not finite numbers
    TOO_LARGE = "too_large"
    UNREADABLE = "unreadable"  # missing, no permission, not a regular file
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    CRASHED = "crashed"


TRANSIENT: Final = frozenset({Status.UNREADABLE, Status.TIMEOUT, Status.OUT_OF_MEMORY, Status.CRASHED})
"""Statuses that depend on the machine or the moment: reported, never stored, so that the next run tries again."""


class VidferError(Exception):
    """An error whose message is written for the user: it names the thing at fault and the remedy."""


class UsageError(VidferError):
    """The command line asks for something that cannot be: exit status 2."""


class ClipError(VidferError):
    """A clip, or one of its modalities, could not be processed.

    Args:
        status: What became of it.
        message: One sentence for the user.
    """

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
