"""Files that are written whole or not at all, and one message where results cannot be written."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

from vidfer.pipeline.left import new_mark
from vidfer.pipeline.shortage import FULL, SHORT
from vidfer.pipeline.system import WINDOWS, move
from vidfer.types import VidferError

_OF_WRITING = FULL | {errno.EROFS, errno.EIO}
_NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}  # of file systems that cannot sync a folder


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a file, text as UTF-8; until all of it is on the disk, `path` keeps what it held before."""
    with replacing(path) as temporary, naming(path):
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give an OSError of writing a file, which names none, the file's name; without a number, as from numpy, of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno or errno.ENOSPC, error.strerror or str(error), str(path)) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Lend a temporary path in the same folder, for writers that want a path; it replaces `path` if the block succeeds.

    The temporary name has the suffix `.tmp`: give the format to writers that guess it from the name.
    """
    temporary = path.with_name(f".vidfer-{new_mark()}.tmp")
    try:
        yield temporary
        sync(temporary)
        move(temporary, path, replace=True)
        sync(path.parent)
    finally:
        with suppress(OSError):  # it took its place, was never made, or its folder has gone
            temporary.unlink()


def linking(target: Path, link: Path) -> None:
    """Make a link to a file that lies beside it or below, in place of another; where links are not allowed, a copy."""
    temporary = link.with_name(f".vidfer-{new_mark()}.tmp")
    try:
        temporary.symlink_to(os.path.relpath(target, link.parent))
    except OSError:
        if not WINDOWS:  # where making one takes a right that few have
            raise
        write_atomic(link, target.read_bytes())
        return
    try:
        move(temporary, link, replace=True)
        sync(link.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def results_folder(folder: Path, remedy: str = "give another folder by --out") -> Iterator[Path]:
    """Make a folder for results, and check that it can be written; an error ends with the remedy.

    Raises:
        VidferError: The folder, or a file in it, cannot be written, now or in the block; other errors pass unchanged.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
        yield folder
    except OSError as error:
        above = isinstance(error.filename, str) and Path(error.filename).absolute() in folder.absolute().parents
        if error.errno in SHORT or (not above and not concerns(error, folder)):
            raise
        reason, todo = error.strerror or error, remedy
        if isinstance(error, FileExistsError):
            reason = f"{error.filename} is a file, or a link that leads nowhere"
        if error.errno in FULL:
            reason, todo = "its disk is full", f"free some space there and run the same command again, or {remedy}"
        raise VidferError(f"results cannot be written to {folder} ({reason}): {todo}") from error


def concerns(error: OSError, folder: Path) -> bool:
    """Tell whether an error is about a folder or a file in it; if it names no file, whether it is one of writing."""
    names = [name for name in (error.filename, error.filename2) if isinstance(name, str | bytes | os.PathLike)]
    if not names:
        return error.errno in _OF_WRITING
    return any(Path(os.fsdecode(name)).absolute().is_relative_to(folder.absolute()) for name in names)


def sync(path: Path) -> None:
    """Wait until the disk has a file's bytes, or a folder's entries where its file system can promise that."""
    if WINDOWS and path.is_dir():  # no program can open a folder there
        return
    handle = os.open(path, os.O_RDWR if WINDOWS else os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC or not path.is_dir():
            raise
    finally:
        os.close(handle)
