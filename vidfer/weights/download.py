"""Fetch files over HTTP: continued after a break, checked, and put into their place whole.

What is being fetched lies in `<target>.part`, with its address and version in `<target>.part.json`, until it is complete
and checked. So the target is there whole or not at all.
"""

import fcntl
import hashlib
import json
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from io import FileIO
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from vidfer import __version__
from vidfer.types import UsageError, VidferError

Progress = Callable[[int, int | None], None]
"""Called with the bytes at hand and, where known, those of the whole file."""

_BLOCK: Final = 256 * 1024
_PATIENCE: Final = 60.0  # seconds without a byte


@dataclass(frozen=True)
class Wanted:
    """A file to fetch.

    Args:
        url: Its address, http or https.
        target: Where it goes.
        size: Its size in bytes, where known.
        sha256: Its checksum in hexadecimal digits, where known.
    """

    url: str
    target: Path
    size: int | None = None
    sha256: str | None = None

    @property
    def part(self) -> Path:
        """What was fetched so far."""
        return self.target.with_name(f"{self.target.name}.part")

    @property
    def note(self) -> Path:
        """Which version of which address that is."""
        return self.target.with_name(f"{self.target.name}.part.json")


def download(
    wanted: Wanted,
    *,
    room: int = 0,
    progress: Progress = lambda done, total: None,
    say: Callable[[str], None] = lambda message: None,
) -> str:
    """Fetch a file, or what is missing of it, and check it.

    Nothing is tried twice in silence: a broken connection is an error, and calling again continues where it broke. A file
    that is there already is checked and left as it is.

    Args:
        wanted: What to fetch.
        room: Bytes that have to stay free on the disk besides the file itself.
        progress: Told after every block.
        say: Told, in a sentence, when what was fetched earlier cannot be continued.

    Returns:
        The file's sha256 in hexadecimal digits.

    Raises:
        UsageError: The address is neither http nor https.
        VidferError: The server, the connection, the disk or the file's content is at fault; the message says which, and
            what was kept.
    """
    if not re.match(r"https?://", wanted.url):
        raise UsageError(f"'{wanted.url}' is no address that starts with http:// or https://")
    if wanted.target.exists():
        return _check(wanted, wanted.target, "delete it to fetch it anew")
    try:
        wanted.target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(wanted.part):
            if wanted.size is None or wanted.part.stat().st_size != wanted.size:
                _fetch(wanted, room, progress, say)
            try:
                digest = _check(wanted, wanted.part, "it was removed; fetch it again, or from another address")
            except VidferError:
                _forget(wanted)
                raise
            wanted.part.rename(wanted.target)
            wanted.note.unlink(missing_ok=True)
    except OSError as error:
        raise VidferError(f"{error.filename or wanted.part} cannot be written: {error.strerror}") from error
    return digest


def unpack(archive: Path, folder: Path, names: Collection[str]) -> None:
    """Unpack a zip archive of one folder; the folder is there whole or not at all.

    Args:
        archive: The archive; each of its files lies in a folder named as `folder` is.
        folder: Where they go; it must not exist.
        names: The files that the archive has to hold, neither more nor less.

    Raises:
        VidferError: The archive is damaged or holds other files, the disk is full, or the folder exists.
    """
    draft = folder.with_name(f".{folder.name}.unpacking")
    try:
        with zipfile.ZipFile(archive) as package:
            members = _members(package, folder.name, names)
            _need(folder.parent, sum(member.file_size for member in members.values()))
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            for name, member in members.items():
                (draft / name).parent.mkdir(parents=True, exist_ok=True)
                with package.open(member) as source, (draft / name).open("wb") as place:
                    shutil.copyfileobj(source, place, _BLOCK)
        draft.rename(folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise VidferError(f"{archive} is damaged ({error}): delete it and fetch it again") from error
    except OSError as error:
        raise VidferError(f"{archive} could not be unpacked to {folder}: {error.strerror}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _members(package: zipfile.ZipFile, folder: str, names: Collection[str]) -> dict[str, zipfile.ZipInfo]:
    members = {}
    for member in package.infolist():
        path = PurePosixPath(member.filename)
        link = stat.S_ISLNK(member.external_attr >> 16)
        if path.is_absolute() or ".." in path.parts or path.parts[:1] != (folder,) or link:
            raise VidferError(f"{package.filename} holds '{member.filename}', which leaves {folder}: not unpacked")
        if not member.is_dir():
            members["/".join(path.parts[1:])] = member
    missing, other = sorted(set(names) - set(members)), sorted(set(members) - set(names))
    for problem, found in (("lacks", missing), ("holds", other)):
        if found:
            shown = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
            raise VidferError(
                f"{package.filename} is not the archive expected: it {problem} {len(found)} files ({shown})"
            )
    return members


def _fetch(wanted: Wanted, room: int, progress: Progress, say: Callable[[str], None]) -> None:
    have, version = _kept(wanted, say)
    response = _request(wanted, have, version)
    if response.status == 416 and response.headers.get("Content-Range") == f"bytes */{have}":
        response.close()
        return
    if have and (response.status != 206 or _version(response) != version):
        changed = response.status == 416 or _version(response) != version
        say(f"the file at {wanted.url} {'has changed' if changed else 'cannot be continued'}: starting anew")
        have = 0
        if response.status != 200:
            response.close()
            response = _request(wanted, 0, None)
    with response:
        total = _total(wanted, response, have)
        if total is not None:
            _need(wanted.part.parent, total - have + room)
        with wanted.part.open("ab", buffering=0) as file:
            file.truncate(have)
            wanted.note.write_text(json.dumps({"url": wanted.url, "version": _version(response)}))
            done = _receive(wanted, response, file, have, total, progress)
    if total is not None and done < total:
        raise VidferError(f"the connection to {wanted.url} broke off {_kept_so_far(done, total)}")


def _receive(
    wanted: Wanted,
    response: HTTPResponse | HTTPError,
    file: FileIO,
    done: int,
    total: int | None,
    progress: Progress,
) -> int:
    progress(done, total)
    while True:
        try:
            block = response.read(_BLOCK)
        except (OSError, HTTPException) as error:
            raise VidferError(
                f"the connection to {wanted.url} broke off ({error}) {_kept_so_far(done, total)}"
            ) from error
        if not block:
            return done
        try:
            rest = memoryview(block)
            while rest:
                rest = rest[file.write(rest) :]
        except OSError as error:
            raise VidferError(
                f"{wanted.part} cannot be written ({error.strerror}) {_kept_so_far(done, total)}"
            ) from error
        done += len(block)
        progress(done, total)


def _request(wanted: Wanted, have: int, version: str | None) -> HTTPResponse | HTTPError:
    headers = {"User-Agent": f"vidfer/{__version__}"}
    if have and version:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    try:
        response: HTTPResponse = urlopen(Request(wanted.url, headers=headers), timeout=_PATIENCE)
    except HTTPError as error:
        if error.code == 416 and have:
            return error
        error.close()
        raise VidferError(
            f"{wanted.url} answered {error.code} {error.reason}: try later, or another address"
        ) from error
    except (OSError, HTTPException, ValueError) as error:  # ValueError: no address at all, or letters that none has
        reason = error.reason if isinstance(error, URLError) else error
        raise VidferError(f"{wanted.url} cannot be reached ({reason}): try later, or another address") from error
    if response.headers.get_content_type() == "text/html" and wanted.target.suffix not in (".html", ".htm"):
        response.close()
        raise VidferError(f"{wanted.url} answered with a web page, not with a file: open it in a browser to see why")
    return response


def _kept(wanted: Wanted, say: Callable[[str], None]) -> tuple[int, str | None]:
    have = wanted.part.stat().st_size
    if not have:
        return 0, None
    try:
        note: dict[str, Any] = json.loads(wanted.note.read_text())
    except (FileNotFoundError, ValueError):
        note = {}
    version = note.get("version")
    if note.get("url") != wanted.url or not version:
        say(f"{wanted.part.name} is of another address or of an unknown version: starting anew")
        return 0, None
    return have, version


def _version(response: HTTPResponse | HTTPError) -> str | None:
    tag = response.headers.get("ETag")
    weak = tag is None or tag.startswith("W/")  # not for continuing a file, says RFC 9110
    return response.headers.get("Last-Modified") if weak else tag


def _total(wanted: Wanted, response: HTTPResponse | HTTPError, have: int) -> int | None:
    if response.status == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != have:
            raise VidferError(
                f"{wanted.url} answered with another part of the file: delete {wanted.part} and try again"
            )
        total: int | None = int(match[2])
    else:
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else wanted.size
    if wanted.size is not None and total != wanted.size:
        raise VidferError(f"{wanted.url} holds {total} bytes, not the {wanted.size} expected: try another address")
    return total


def _check(wanted: Wanted, path: Path, remedy: str) -> str:
    size = path.stat().st_size
    if wanted.size is not None and size != wanted.size:
        raise VidferError(f"{path} has {size} bytes, not the {wanted.size} expected: {remedy}")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if wanted.sha256 and digest != wanted.sha256.lower():
        raise VidferError(f"{path} has the sha256 {digest}, not {wanted.sha256.lower()}: {remedy}")
    return digest


def _need(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        raise VidferError(f"{folder} has {free / 1e9:.1f} GB free, {size / 1e9:.1f} GB are needed: make room first")


@contextmanager
def _locked(part: Path) -> Iterator[None]:
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise VidferError(f"{part} is being fetched by another process: wait for it") from error
        try:
            yield
        finally:
            if part.exists() and not part.stat().st_size:
                part.unlink()


def _forget(wanted: Wanted) -> None:
    wanted.part.unlink()
    wanted.note.unlink(missing_ok=True)


def _kept_so_far(done: int, total: int | None) -> str:
    whole = f" of {total / 1e6:.1f}" if total else ""
    return f"after {done / 1e6:.1f}{whole} MB; what was fetched is kept, run the same command again to go on"
