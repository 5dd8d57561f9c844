"""The digest of a clip's content, remembered by the file's identity on disk."""

import json
import time
from contextlib import suppress
from pathlib import Path

from vidfer.pipeline.atomic import write_atomic
from vidfer.pipeline.store import Store, dump_json, file_digest
from vidfer.types import ClipError, Status

_RACY_SECONDS = 2.0


def content_digest(clip: Path, store: Store) -> str:
    """Return the blake3 digest of a clip, hashing it only if it is new or has changed.

    A clip is known by device, inode, size, mtime and ctime. One touched in the last two seconds is not remembered: within
    a tick of the clock it could change unseen.

    Raises:
        ClipError: `unreadable` when the file is missing, no regular file, or may not be read.
    """
    try:
        if not clip.is_file():
            raise ClipError(Status.UNREADABLE, f"{clip} is missing or is not a regular file")
        stat = clip.stat()
    except OSError as error:
        raise _unreadable(clip, error) from error
    identity = [stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    memo = store.root / "memo" / f"{stat.st_dev:x}-{stat.st_ino:x}.json"
    known = _recall(memo, identity)
    if known is not None:
        return known
    try:
        digest = file_digest(clip)
    except OSError as error:
        raise _unreadable(clip, error) from error
    if time.time() - max(stat.st_mtime, stat.st_ctime) > _RACY_SECONDS:
        with suppress(OSError):  # a store that cannot be written still answers hits
            memo.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(memo, dump_json({"identity": identity, "blake3": digest}))
    return digest


def _unreadable(clip: Path, error: OSError) -> ClipError:
    return ClipError(Status.UNREADABLE, f"{clip} cannot be read: {error.strerror}")


def _recall(memo: Path, identity: list[int]) -> str | None:
    try:
        known = json.loads(memo.read_bytes())
        return str(known["blake3"]) if known["identity"] == identity else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # never seen, out of reach, or torn by a power cut: the file is hashed again
