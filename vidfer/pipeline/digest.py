"""Digests of recipes, of files, and of clips, which are remembered by the file's identity on disk."""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from vidfer.pipeline.atomic import replacing
from vidfer.pipeline.bounded import read_json
from vidfer.pipeline.numbered import numbered_pictures
from vidfer.pipeline.rights import make_folder, write_synced
from vidfer.types import ClipError, Status, VidferError

if TYPE_CHECKING:
    from vidfer.pipeline.store import Store

_RACY_SECONDS = 2.0
_WORTH_REMEMBERING = 1 << 16  # bytes


def dump_json(value: object) -> bytes:
    """Encode a value as canonical JSON: keys sorted, no spaces, UTF-8, NaN refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def recipe_key(recipe: Mapping[str, Any]) -> str:
    """Return the key of a recipe: the sha256 of its canonical JSON, 64 hexadecimal digits."""
    return hashlib.sha256(dump_json(dict(recipe))).hexdigest()


def file_digest(path: Path) -> str:
    """Return the blake3 digest of a file, read in blocks, so that memory does not grow with its size."""
    hasher = blake3()
    with path.open("rb", buffering=0) as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()


def seal_of(manifest: Mapping[str, Any]) -> str:
    """Return the blake3 digest of a manifest without its seal."""
    return blake3(dump_json({name: value for name, value in manifest.items() if name != "seal"})).hexdigest()


def content_digest(clip: Path, store: "Store", *, remember: bool = True) -> str:
    """Return the blake3 digest of a clip, which is read only if it is new or has changed.

    That of a folder of numbered pictures is of their distances in numbering and their contents, not of
    their names.

    A clip is known by device, inode, size, mtime and ctime. One touched in the last two seconds is not remembered: within
    a tick of the clock it could change unseen. Nor is anything where `remember` is false: the store is then only read.

    Raises:
        ClipError: `unreadable` when the file is missing, no regular file, or may not be read, and of a folder whose pictures
            are no series.
    """
    try:
        pictures = numbered_pictures(clip) if clip.is_dir() else []
        if not pictures and not clip.is_file():
            raise ClipError(Status.UNREADABLE, f"{clip} is missing or is not a regular file")
        stat = clip.stat()
        places = [(number - pictures[0][0], path.stat()) for number, path in pictures]
        identity: list[Any] = _identity(stat)
        if pictures:  # remembered as one
            identity = [blake3(dump_json([[place, *_identity(each)] for place, each in places])).hexdigest()]
        memo = store.root / "memo" / f"{stat.st_dev:x}-{stat.st_ino:x}.json"
        if known := _recall(memo, identity):
            return known
        if pictures:
            files = [[place, file_digest(path)] for (place, _), (_, path) in zip(places, pictures, strict=True)]
            digest = blake3(dump_json(files)).hexdigest()
        else:
            digest = file_digest(clip)
    except OSError as error:
        raise ClipError(Status.UNREADABLE, f"{clip} cannot be read: {error.strerror}") from error
    touched = max(max(each.st_mtime, each.st_ctime) for each in (stat, *(each for _, each in places)))
    if remember and time.time() - touched > _RACY_SECONDS:
        with suppress(OSError):  # without it, the clip is hashed again
            note = {"identity": identity, "blake3": digest}
            make_folder(store.root, memo.parent)
            with replacing(memo) as temporary:
                write_synced(store.root, temporary, dump_json(note | {"seal": seal_of(note)}))
    return digest


def _identity(stat: os.stat_result) -> list[int]:
    return [stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def digest_files(paths: Iterable[Path], root: Path, store: str | Path | None = None) -> list[list[str]]:
    """Return each file's path below `root`, a folder or the only file, and the digest of its content.

    Digests of files of 64 KiB and more are remembered in a store, None for the default one.

    Raises:
        VidferError: A file cannot be read.
    """
    from vidfer.pipeline.store import Store, default_store

    memory, folder = Store(store or default_store()), root if root.is_dir() else root.parent
    try:
        return [
            [
                path.relative_to(folder).as_posix(),
                file_digest(path) if path.stat().st_size < _WORTH_REMEMBERING else content_digest(path, memory),
            ]
            for path in paths
        ]
    except OSError as error:
        raise VidferError(f"{error.filename} cannot be read: {error.strerror}") from error


def _recall(memo: Path, identity: list[Any]) -> str | None:
    """Return the digest remembered for a file, unless it is unknown, out of reach, or not as it was written."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        known = read_json(memo)
        return str(known["blake3"]) if known["identity"] == identity and known["seal"] == seal_of(known) else None
    return None
