"""An address such as `s3://bucket/prefix`, by fsspec: what a store needs of it, and its faults in one sentence.

fsspec and the package of the address's protocol are imported at the first use, so that stores in folders need neither.
"""

import errno
import logging
import re
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from blake3 import blake3

from vidfer.pipeline.artifact import StoreError
from vidfer.pipeline.extras import require
from vidfer.types import UsageError

_LOG = logging.getLogger(__name__)

_ADDRESS = re.compile(r"(?P<protocol>[a-z][a-z0-9+.-]+)://(?P<rest>.*)", re.DOTALL)
_ONE_SLASH = re.compile(r"[a-z][a-z0-9+.-]+:/(?!/)")  # what `Path` makes of an address; C:/ has one letter
_LOCAL: Final = ("file", "local")
_ERRORS: Final = {
    "aiohttp": ("ClientError",),
    "azure.core.exceptions": ("AzureError",),
    "botocore.exceptions": ("BotoCoreError", "ClientError"),
    "gcsfs.retry": ("HttpError",),
    "google.auth.exceptions": ("GoogleAuthError",),
}
"""What the packages behind fsspec raise beside OSError, by module."""


class Object(NamedTuple):
    """What lies under a name: bytes, and when they were put, in seconds since 1970."""

    name: str
    size: int
    put: float


def read_place(place: str | Path) -> "Path | Remote":
    """Tell a folder from an address; `file:///folder` is the folder.

    Raises:
        UsageError: The address has lost a slash, as in a `Path`, or names nothing.
    """
    text = str(place)
    if _ONE_SLASH.match(text):
        proper = text.replace(":/", "://", 1)
        raise UsageError(
            f"{text} is no folder: give the address as the text '{proper}', with two slashes, not as a Path"
        )
    found = _ADDRESS.fullmatch(text)
    if found is None:
        return Path(place)
    rest = found["rest"].strip("/")
    if not rest:
        raise UsageError(f"the store {text} names no place: give one such as s3://bucket/prefix")
    return Path(found["rest"]) if found["protocol"] in _LOCAL else Remote(f"{found['protocol']}://{rest}")


@dataclass(frozen=True)
class Remote:
    """Objects by name below an address, without a slash at its end.

    A put is whole or not at all, as object stores promise it. Every method raises StoreError where the other side, the network or
    the credentials do not let it happen, and OSError where a file of this machine does not.
    """

    address: str

    def __str__(self) -> str:
        return self.address

    @property
    def slug(self) -> str:
        """A name for a folder that no other address has."""
        return (
            f"{re.sub(r'[^a-z0-9]+', '-', self.address.lower())[:60]}-{blake3(self.address.encode()).hexdigest()[:8]}"
        )

    def require(self) -> None:
        """Raise UsageError where the package for the address is not installed, or there is none."""
        protocol = self.address.partition(":")[0]
        what = f"the store {self}"
        if protocol in {"s3", "s3a"}:
            require(what, "s3fs")
        try:
            import fsspec

            fsspec.get_filesystem_class(protocol)
        except ModuleNotFoundError as error:
            raise UsageError(f"{what} needs fsspec, which is not installed: pip install fsspec") from error
        except ImportError as error:  # fsspec says which package
            raise UsageError(f"{what} cannot be used: {error}") from error
        except ValueError as error:
            raise UsageError(f"{what} is of no kind that fsspec knows: give a folder, or s3://bucket/prefix") from error

    def read(self, name: str) -> bytes:
        """Return the bytes of an object, or raise FileNotFoundError."""
        with self._explained("read") as files:
            try:  # from a place on: S3 is asked once, and not for the size first
                data: bytes = files.cat_file(self._path(name), start=0)
            except OSError as error:
                if _code(error) != "InvalidRange":
                    raise
                data = b""
            return data

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        """Return the bytes of several objects, of those that are there."""
        paths = {self._path(name): name for name in names}
        if not paths:
            return {}
        with self._explained("read") as files:
            found = files.cat(list(paths), on_error="return")
            for each in found.values():
                if isinstance(each, Exception) and not isinstance(each, FileNotFoundError):
                    raise each
        return {paths[path]: data for path, data in found.items() if isinstance(data, bytes)}

    def fetch(self, names: Mapping[str, Path]) -> None:
        """Write objects into files, or raise FileNotFoundError."""
        if names:
            with self._explained("read") as files:
                files.get([self._path(name) for name in names], [str(path) for path in names.values()])

    def send(self, names: Mapping[str, Path]) -> None:
        """Put files, over what has their names already."""
        if names:
            with self._explained("written") as files:
                files.put([str(path) for path in names.values()], [self._path(name) for name in names])

    def create(self, name: str, data: bytes) -> bool:
        """Put an object unless there is one of that name, and tell whether this one was put.

        The other side decides where it can (S3: If-None-Match). Otherwise it is asked first, so that two writers at the same
        moment may both put theirs: then one of them stands, whole.
        """
        path = self._path(name)
        with self._explained("written") as files:
            while True:
                try:
                    files.pipe_file(path, data, mode="create")
                except FileExistsError:
                    return False
                except OSError as error:
                    if (
                        _code(error) == "ConditionalRequestConflict"
                    ):  # of another put at work: ask again, as S3 wants it
                        continue
                    if error.errno != errno.ENOSYS:
                        raise
                    _say_unconditional(self.address)
                    if files.exists(path):
                        return False
                    files.pipe_file(path, data)
                return True

    def version(self, name: str) -> str | None:
        """Return what changes with every put of an object, or None where there is none."""
        with self._explained("read") as files:
            try:
                return str(files.ukey(self._path(name)))
            except FileNotFoundError as error:
                self._require_bucket(error)
                return None

    def list(self, prefix: str = "") -> list[Object]:
        """List every object below the address, or below a folder of it."""
        with self._explained("listed") as files:
            root = self._path("")
            try:
                found = files.find(self._path(prefix), detail=True)
            except FileNotFoundError as error:
                self._require_bucket(error)
                return []
        return [
            Object(path.removeprefix(root).lstrip("/"), int(info["size"] or 0), _time(info))
            for path, info in found.items()
            if info["type"] == "file"
        ]

    def copy(self, names: Mapping[str, str]) -> None:
        """Copy objects on the other side; those that are not there any more are left out."""
        with self._explained("written") as files:
            for name, target in names.items():
                if files.exists(self._path(name)):
                    files.copy(self._path(name), self._path(target))

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects, one after the other; it is no fault if one is not there."""
        with self._explained("written") as files:
            for name in names:
                try:
                    files.rm_file(self._path(name))
                except FileNotFoundError as error:
                    self._require_bucket(error)

    def probe(self) -> bool:
        """Put an object, read it and delete it; tell whether a second put of its name was refused."""
        name = f"tmp/check-{uuid.uuid4().hex}"
        self.create(name, b"vidfer")
        try:
            refused = not self.create(name, b"again!")
            self.read(name)
        finally:
            self.delete([name])
        return refused

    def keeps_versions(self) -> bool:
        """Tell whether the bucket keeps what is deleted; False where the other side knows no such thing."""
        with self._explained("read") as files:
            asked = getattr(files, "is_bucket_versioned", None)
            return asked is not None and bool(asked(self._path("").partition("/")[0]))

    def _path(self, name: str) -> str:
        root = str(self._files()._strip_protocol(self.address)).rstrip("/")
        return f"{root}/{name}" if name else root

    def _files(self) -> Any:  # noqa: ANN401 - a class of fsspec's, which has no types
        import fsspec

        # fsspec keeps one such object a process; listings that it remembers would hide what other machines write
        return fsspec.core.url_to_fs(self.address, use_listings_cache=False)[0]

    @contextmanager
    def _explained(self, how: str) -> Iterator[Any]:
        """Lend fsspec's file system, and turn its faults into StoreError; what is not there stays FileNotFoundError."""
        try:
            yield self._files()
        except FileNotFoundError as error:
            self._require_bucket(error)
            raise
        except _faults() as error:
            if isinstance(error, OSError) and error.filename is not None:  # a file of this machine
                raise
            reason = " ".join(str(error).split()) or type(error).__name__
            raise StoreError(f"the store {self} cannot be {how} ({reason}): {_remedy(error)}") from error

    def _require_bucket(self, error: FileNotFoundError) -> None:
        if _code(error) == "NoSuchBucket" or "bucket does not exist" in str(error):
            bucket = self.address.partition("://")[2].partition("/")[0]
            raise StoreError(
                f"the store {self} has no bucket: make {bucket}, or give another store by --store"
            ) from error


def _faults() -> tuple[type[Exception], ...]:
    """Return what may come from the other side: asked for once something was raised, when its package is imported."""
    known = ((sys.modules.get(module), names) for module, names in _ERRORS.items())
    more = (getattr(module, name) for module, names in known if module for name in names)
    return (OSError, NotImplementedError, *more)


def _code(error: Exception) -> str:
    """Return what S3 calls the fault, or nothing."""
    response = getattr(error.__cause__, "response", None) or getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def _remedy(error: Exception) -> str:
    kind = type(error).__name__
    if isinstance(error, PermissionError):
        return "see that these credentials may list, read, write and delete there; then run the same command again"
    if "Credential" in kind or "Auth" in kind or "Token" in kind:
        return "give credentials, as by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or `aws configure`"
    if isinstance(error, NotImplementedError):
        return "give a store that can be written by --store"
    return "see that it can be reached (AWS_ENDPOINT_URL, proxy, network); then run the same command again, it goes on from there"


@cache
def _say_unconditional(address: str) -> None:
    _LOG.warning(
        "%s knows no conditional put: of two machines that finish one result at once, the later one stands", address
    )


def _time(info: Mapping[str, Any]) -> float:
    """Return when an object was put: the packages of fsspec call it by different names; the time of asking where none says."""
    for name in ("LastModified", "last_modified", "mtime", "updated", "modified", "created"):
        if isinstance(value := info.get(name), datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        if isinstance(value, int | float):
            return float(value)
        if isinstance(value, str):
            return datetime.fromisoformat(value).timestamp()
    return datetime.now(UTC).timestamp()
