"""Files of recordings: which there are, what is wrong with one at first sight, and which have the same content."""

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final

from vidfer.pipeline.store import file_digest
from vidfer.types import VidferError

SOUND_SUFFIXES: Final = (".flac", ".wav", ".m4a", ".ogg", ".mp3")
"""Files that hold sound alone."""

VIDEO_SUFFIXES: Final = (".mp4", ".mkv", ".mov", ".avi", ".flv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")
"""Files that may hold both."""

_POINTER: Final = b"version https://git-lfs.github.com/spec/"


def media_files(root: Path) -> list[Path]:
    """List the files below a folder that may be clips, by their suffix.

    Raises:
        VidferError: There is no such folder.
    """
    if not root.is_dir():
        raise VidferError(f"no folder {root}: name the folder that holds the data set")
    return sorted(path for path in root.rglob("*") if path.suffix.lower() in (*SOUND_SUFFIXES, *VIDEO_SUFFIXES))


def file_fault(path: Path) -> str:
    """Say why a file cannot be a recording, without decoding it; nothing where it may be one."""
    try:
        if not path.is_file():
            return "missing" if not path.exists() else "no regular file"
        with path.open("rb") as file:
            head = file.read(len(_POINTER))
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if not head:
        return "empty file"
    return "git-lfs pointer in place of the recording: run `git lfs pull`" if head == _POINTER else ""


def content_keys(paths: Iterable[Path]) -> list[str]:
    """Return a key for each file, such that two are equal where the contents are, byte by byte.

    Only files of a size that occurs twice are hashed (blake3). Keys are comparable within one call, not between calls.

    Raises:
        VidferError: A file cannot be read.
    """
    listed = list(paths)
    try:
        identity = [(stat.st_size, stat.st_mtime_ns, stat.st_ino) for stat in (path.stat() for path in listed)]
        sizes = Counter(size for size, _, _ in identity)
        return [
            _remembered_digest(path, *facts) if sizes[facts[0]] > 1 else f"the only one of {facts[0]} bytes"
            for path, facts in zip(listed, identity, strict=True)
        ]
    except OSError as error:
        raise VidferError(f"{error.filename} cannot be read: {error.strerror}") from error


@lru_cache(maxsize=100_000)
def _remembered_digest(path: Path, size: int, changed: int, inode: int) -> str:
    return file_digest(path)
