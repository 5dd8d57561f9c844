"""Artifacts on disk: written whole or not at all, checked when read, never repaired in place.

The store is plain files, so that any number of processes and machines can share it without a lock or a database.
Who may read it is decided by the rights of its folder (`vidfer.pipeline.rights`). It holds:

    <root>/<stage>/<key[:2]>/<key>/manifest.json   and the artifact's files beside it
    <root>/tmp/                                    what is being written, or was when its writer died
    <root>/quarantine/                             artifacts whose bytes no longer match their manifest
    <root>/memo/                                   content digests of clips (see `vidfer.pipeline.digest`)
"""

import errno
import json
import os
import re
import shutil
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from blake3 import blake3

from vidfer.pipeline.atomic import FULL, sync
from vidfer.pipeline.columns import read_parquet
from vidfer.pipeline.digest import dump_json, seal_of
from vidfer.pipeline.manifest import MANIFEST as MANIFEST
from vidfer.pipeline.manifest import DamageError, check_files, is_sealed
from vidfer.pipeline.rights import close_to_others, make_folder, write_synced
from vidfer.pipeline.system import move
from vidfer.types import Status, VidferError

if TYPE_CHECKING:
    import numpy as np

Json = Mapping[str, Any]
"""An object of JSON."""

_KEY = re.compile("[0-9a-f]{64}")


class StoreError(VidferError):
    """The store could not be read or written: full, read-only, or gone."""


@dataclass(frozen=True)
class Artifact:
    """One committed result of one stage: its folder, and what `manifest.json` there holds."""

    path: Path
    manifest: Json

    @property
    def status(self) -> Status:
        """What became of the stage's work."""
        return Status(self.manifest["status"])

    @property
    def key(self) -> str:
        """Its key, 64 hexadecimal digits."""
        return str(self.manifest["key"])

    @property
    def message(self) -> str:
        """One sentence on the status, or nothing."""
        return str(self.manifest["message"])

    @property
    def meta(self) -> Json:
        """Small facts that later stages and reports need."""
        meta: Json = self.manifest["meta"]
        return meta

    def names(self, prefix: str = "") -> list[str]:
        """List the artifact's files whose names begin with `prefix`, sorted."""
        return sorted(entry["name"] for entry in self.manifest["files"] if entry["name"].startswith(prefix))

    def arrays(self, name: str, only: Collection[str] | None = None) -> "dict[str, np.ndarray]":
        """Read a safetensors file: each array by its name, or `only` some of them."""
        from safetensors import safe_open
        from safetensors.numpy import load_file

        with reading(self.path / name), (self.path / name).open("rb"):  # the error of `open` names the file
            if only is None:
                return load_file(self.path / name)
            with safe_open(self.path / name, "numpy") as stored:
                return {each: stored.get_tensor(each) for each in only}

    def rows(self, name: str, array: str, rows: "np.ndarray") -> "np.ndarray":
        """Read some rows (n,), n >= 1, of an array of a safetensors file, and not the others."""
        import numpy as np
        from safetensors import safe_open

        with reading(self.path / name), safe_open(self.path / name, "numpy") as stored:
            whole = stored.get_slice(array)
            return np.concatenate([whole[row : row + 1] for row in map(int, rows)])

    def table(self, name: str) -> "dict[str, np.ndarray]":
        """Read a Parquet file: each column by its name."""
        return read_parquet(self._read(name))

    def json(self, name: str) -> Any:  # noqa: ANN401 - JSON has no narrower type
        """Read a JSON file."""
        return json.loads(self._read(name))

    def _read(self, name: str) -> bytes:
        with reading(self.path / name):
            return (self.path / name).read_bytes()


class Draft:
    """An artifact being written, in a folder of its own under `tmp/`.

    Use it as a context manager: what has not been published when the block ends is removed.
    """

    def __init__(self, store: "Store", stage: str, key: str) -> None:
        self._root, self._stage, self._key = store.root, stage, key
        self._files: list[dict[str, Any]] = []
        self.path = store.root / "tmp" / f"{stage}-{os.getpid()}-{uuid.uuid4().hex}"

    def __enter__(self) -> Self:
        with explained(self._root):
            make_folder(self._root, self.path)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def write(self, name: str, data: bytes) -> None:
        """Write one file and wait until the disk has it."""
        with explained(self._root):
            write_synced(self._root, self.path / name, data)
        self._files.append({"name": name, "size": len(data), "blake3": blake3(data).hexdigest()})

    def write_arrays(self, name: str, arrays: "Mapping[str, np.ndarray]") -> None:
        """Write arrays as one safetensors file."""
        import numpy as np
        from safetensors.numpy import save

        self.write(name, save({key: np.ascontiguousarray(value) for key, value in arrays.items()}))

    def write_json(self, name: str, value: object) -> None:
        """Write a JSON file, entries in the order given."""
        self.write(name, json.dumps(value, ensure_ascii=False, allow_nan=False).encode())

    def clear(self) -> None:
        """Remove the files written so far."""
        with explained(self._root):
            shutil.rmtree(self.path)
            make_folder(self._root, self.path)
        self._files.clear()

    def seal(
        self, recipe: Json, *, status: Status = Status.OK, message: str = "", meta: Json | None = None
    ) -> Artifact:
        """Write the manifest; the artifact is complete, but lives only as long as the draft until it is published."""
        manifest = {
            "stage": self._stage,
            "key": self._key,
            "recipe": dict(recipe),
            "status": str(status),
            "message": message,
            "meta": dict(meta or {}),
            "files": sorted(self._files, key=lambda entry: str(entry["name"])),
        }
        text = dump_json(manifest | {"seal": seal_of(manifest)})
        self.write(MANIFEST, text)
        with explained(self._root):
            sync(self.path)
        return Artifact(self.path, json.loads(text))  # as every later reader will see it, order of entries included


class Store:
    """A folder of artifacts, found by stage and key; it is made when the first one is written.

    Attributes:
        quarantined: The (stage, key) pairs that this object found damaged and moved to quarantine.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).expanduser().absolute()
        self.quarantined: set[tuple[str, str]] = set()
        self._verified: set[Path] = set()

    def path(self, stage: str, key: str) -> Path:
        """Return the folder in which an artifact stands, or would."""
        return self.root / stage / key[:2] / key

    def find(self, stage: str, key: str, *, to_read: bool = True) -> Artifact | None:
        """Look an artifact up.

        The names and sizes of its files are checked at every call; the manifest's seal where the files are `to_read`, and
        digests at the first such call in this object's life. An artifact that fails is moved to `quarantine/`, remembered in
        `quarantined`, and counts as absent; one that cannot be read stays, and raises StoreError.
        """
        folder = self.path(stage, key)
        with reading(folder):
            try:
                folder.stat()
                manifest = _load(folder, folder, digests=to_read and folder not in self._verified, sealed=to_read)
            except (FileNotFoundError, NotADirectoryError):
                return None
            except DamageError:
                if self.quarantine(folder):
                    self.quarantined.add((stage, key))
                return None
        if to_read:
            self._verified.add(folder)
        return Artifact(folder, manifest)

    def fault(self, folder: Path, *, place: Path | None = None) -> str:
        """Read every byte of an artifact that belongs here, or to `place`, and say what is wrong with it, or nothing."""
        try:
            _load(folder, place or folder, digests=True)
        except DamageError as damage:
            return str(damage)
        return ""

    def draft(self, stage: str, key: str) -> Draft:
        """Return a draft of an artifact."""
        return Draft(self, stage, key)

    def publish(self, artifact: Artifact) -> Artifact:
        """Move a sealed artifact to its place in one rename.

        If another process was faster, its artifact is returned and this one is dropped: both are results of one recipe.
        """
        stage, key = artifact.manifest["stage"], artifact.key
        target = self.path(stage, key)
        with explained(self.root):
            make_folder(self.root, target.parent)
            while True:
                try:
                    move(artifact.path, target)
                    break
                except OSError as error:
                    if error.errno not in {errno.EEXIST, errno.ENOTEMPTY, errno.ENOENT}:
                        raise
                    if winner := self.find(
                        stage, key
                    ):  # ENOENT: a network file system renamed, lost its reply, and tried again
                        return winner
                    if error.errno == errno.ENOENT:
                        raise
            for folder in (target.parent, target.parent.parent, self.root):
                sync(folder)
        self._verified.add(target)
        return Artifact(target, artifact.manifest)

    def folders(self) -> Iterator[Path]:
        """Yield the folder of every artifact, in a fixed order; what is not named like one is not ours."""
        for folder in sorted(self.root.glob("*/??/*")):
            if _KEY.fullmatch(folder.name) and folder.parent.name == folder.name[:2] and folder.is_dir():
                yield folder

    def quarantine(self, folder: Path) -> bool:
        """Move a damaged artifact out of the way, for someone to look at; it is never deleted here.

        Returns False when it was not there any more, or another process has put a sound one into its place since.
        """
        place = self.root / "quarantine" / f"{folder.parent.parent.name}-{folder.name}-{uuid.uuid4().hex[:8]}"
        with explained(self.root):
            make_folder(self.root, place.parent)
            try:
                move(folder, place)
            except FileNotFoundError:
                return False
            fault = ""
            try:
                fault = self.fault(place, place=folder)
            finally:
                if not fault:  # sound, or unreadable: nothing is known against it
                    with suppress(OSError):  # mended once more in between: then this copy is not needed
                        move(place, folder)
            return bool(fault)


@contextmanager
def explained(root: Path) -> Iterator[None]:
    """Turn an OSError into a StoreError that names the store and the remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            remedy = "free some space, or see `vidfer cache gc`; then run the same command again, it goes on from there"
            raise StoreError(f"the store {root} is full: {remedy}") from error
        raise StoreError(f"the store {root} cannot be written ({error}): give another one by --store") from error


def unreadable(path: Path, error: OSError) -> StoreError:
    """Make an error that names the store's file which cannot be read, and why."""
    place = error.filename or path
    if isinstance(error, FileNotFoundError):
        return StoreError(f"{place} was removed while it was in use (by `vidfer cache`?): run the same command again")
    reason = error.strerror or error
    return StoreError(f"{place} cannot be read ({reason}): mend that, or give another store by --store")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn an OSError into the error of `unreadable`."""
    try:
        yield
    except OSError as error:
        raise unreadable(path, error) from error


def default_store() -> Path:
    """Return the store of everything that names no other one: `$VIDFER_STORE`, or `vidfer` in the user's cache folder.

    The one in the cache folder is the user's alone; who shares one names it.
    """
    store = user_folder("VIDFER_STORE", "vidfer")
    if not os.environ.get("VIDFER_STORE"):
        close_to_others(store)
    return store


def user_folder(variable: str, name: str) -> Path:
    """Return the folder that an environment variable names, or else a folder of that name in the user's cache folder."""
    from platformdirs import user_cache_path

    try:
        return Path(os.environ.get(variable) or user_cache_path(name, appauthor=False)).expanduser()
    except RuntimeError as error:
        raise VidferError(f"there is no home folder with a cache: set ${variable} to a folder") from error


def _load(folder: Path, place: Path, *, digests: bool, sealed: bool = True) -> dict[str, Any]:
    """Read and check the manifest of an artifact that belongs to `place`, and the files that it names."""
    try:
        text = (folder / MANIFEST).read_bytes()
        manifest: dict[str, Any] = json.loads(text)
        if sealed and not is_sealed(text, manifest):
            raise DamageError("the bytes of its manifest have changed")
        if (manifest["stage"], manifest["key"]) != (place.parent.parent.name, place.name):
            raise DamageError("its manifest belongs to another artifact")
        check_files(folder, manifest["files"], digests=digests)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise DamageError(f"{error.filename} is not there, or is no file") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise DamageError(f"{error.filename} is a link to itself") from error
        raise unreadable(folder, error) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamageError(f"its manifest is malformed ({error})") from error
    return manifest
