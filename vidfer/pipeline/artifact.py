"""An artifact as it is read and as it is written, and the faults of a store's files in one sentence."""

import errno
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, Self

from blake3 import blake3

from vidfer.pipeline.atomic import sync
from vidfer.pipeline.columns import read_parquet
from vidfer.pipeline.digest import dump_json, seal_of
from vidfer.pipeline.left import new_mark
from vidfer.pipeline.manifest import MANIFEST, DamageError, check_files, is_sealed
from vidfer.pipeline.rights import make_folder, write_synced
from vidfer.pipeline.shortage import FULL
from vidfer.types import Status, VidferError

if TYPE_CHECKING:
    import numpy as np

Json = Mapping[str, Any]
"""An object of JSON."""


class StoreError(VidferError):
    """The store could not be read or written: full, read-only, out of reach, or gone."""


@dataclass(frozen=True)
class Artifact:
    """One committed result of one stage: its folder, what `manifest.json` there holds, and open files that are not kept."""

    path: Path
    manifest: Json
    passing: Mapping[str, IO[bytes]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def status(self) -> Status:
        """What became of the stage's work.

        Raises:
            StoreError: A newer vidfer has written one that this one does not know.
        """
        try:
            return Status(self.manifest["status"])
        except ValueError as error:
            newer = f"{self.path} was written by a newer vidfer ({error})"
            raise StoreError(f"{newer}: update this one, or give another store by --store") from error

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

    @property
    def lacks(self) -> bool:
        """Whether it was made with files that were not kept, and are not here."""
        return not self.passing and bool(self.manifest.get("passing"))

    def names(self, prefix: str = "") -> list[str]:
        """List the artifact's files whose names begin with `prefix`, sorted."""
        names = [*(entry["name"] for entry in self.manifest["files"]), *self.passing]
        return sorted(name for name in names if name.startswith(prefix))

    def arrays(self, name: str, only: Collection[str] | None = None) -> "dict[str, np.ndarray]":
        """Read a safetensors file: each array by its name, or `only` some of them."""
        from safetensors import safe_open
        from safetensors.numpy import load, load_file

        if name in self.passing:
            found = load(self._read(name))
            return found if only is None else {each: found[each] for each in only}
        with reading(self.path / name), (self.path / name).open("rb"):  # the error of `open` names the file
            if only is None:
                return load_file(self.path / name)
            with safe_open(self.path / name, "numpy") as stored:
                return {each: stored.get_tensor(each) for each in only}

    def rows(self, name: str, array: str, rows: "np.ndarray") -> "np.ndarray":
        """Read some rows (n,), n >= 1, of an array of a safetensors file, and not the others."""
        import numpy as np
        from safetensors import safe_open

        if name in self.passing:
            return np.asarray(self.arrays(name)[array][rows])
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
            if name in self.passing:
                self.passing[name].seek(0)
                return self.passing[name].read()
            return (self.path / name).read_bytes()


class Draft:
    """An artifact being written, in a folder of its own under `tmp/`.

    Use it as a context manager: what has not been published when the block ends is removed.
    """

    def __init__(self, root: Path, stage: str, key: str) -> None:
        self._root, self._stage, self._key = root, stage, key
        self._files: list[dict[str, Any]] = []
        self._passing: dict[str, IO[bytes]] = {}
        self.path = root / "tmp" / f"{stage}-{os.getpid()}-{new_mark()}"

    def __enter__(self) -> Self:
        with explained(self._root):
            make_folder(self._root, self.path)
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        shutil.rmtree(self.path, ignore_errors=True)

    def _close(self) -> None:
        while self._passing:
            self._passing.popitem()[1].close()

    def write(self, name: str, data: bytes, *, passing: bool = False) -> None:
        """Write one file and wait until the disk has it.

        One that is `passing` is read by later stages as any other, as long as the draft is open, and is no part of what is
        published. It has no name on the disk, so that nothing of it is left however the process ends.
        """
        with explained(self._root):
            if passing:
                self._passing[name] = file = TemporaryFile(dir=self.path)  # noqa: SIM115 - lives as long as the draft
                file.write(data)
                file.flush()
                return
            write_synced(self._root, self.path / name, data)
        self._files.append({"name": name, "size": len(data), "blake3": blake3(data).hexdigest()})

    def write_arrays(self, name: str, arrays: "Mapping[str, np.ndarray]", *, passing: bool = False) -> None:
        """Write arrays as one safetensors file."""
        import numpy as np
        from safetensors.numpy import save

        data = save({key: np.ascontiguousarray(value) for key, value in arrays.items()})
        self.write(name, data, passing=passing)

    def write_json(self, name: str, value: object) -> None:
        """Write a JSON file, entries in the order given."""
        self.write(name, json.dumps(value, ensure_ascii=False, allow_nan=False).encode())

    def clear(self) -> None:
        """Remove the files written so far."""
        self._close()
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
        if self._passing:
            manifest["passing"] = sorted(self._passing)
        text = dump_json(manifest | {"seal": seal_of(manifest)})
        self.write(MANIFEST, text)
        with explained(self._root):
            sync(self.path)
        return Artifact(
            self.path, json.loads(text), self._passing
        )  # as every later reader will see it, order of entries included


@contextmanager
def explained(root: Path) -> Iterator[None]:
    """Turn an OSError into a StoreError that names the store and the remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL or error.errno is None:  # numpy gives no number where not all could be written
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


def load(folder: Path, place: Path, *, digests: bool, sealed: bool = True) -> dict[str, Any]:
    """Read and check the manifest of an artifact that belongs to `place`, and the files that it names.

    Raises:
        DamageError: They are not what was sealed.
        StoreError: They cannot be read.
    """
    with finding_damage(folder):
        manifest = parse((folder / MANIFEST).read_bytes(), place.parent.parent.name, place.name, sealed=sealed)
        check_files(folder, manifest["files"], digests=digests)
    return manifest


def parse(text: bytes, stage: str, key: str, *, sealed: bool = True) -> dict[str, Any]:
    """Read a manifest, and check that it is this artifact's and, with `sealed`, as it was sealed; see `finding_damage`."""
    manifest: dict[str, Any] = json.loads(text)
    if sealed and not is_sealed(text, manifest):
        raise DamageError("the bytes of its manifest have changed")
    if (manifest["stage"], manifest["key"]) != (stage, key):
        raise DamageError("its manifest belongs to another artifact")
    return manifest


@contextmanager
def finding_damage(folder: Path) -> Iterator[None]:
    """Turn what an artifact's wrong bytes raise into DamageError, and what the system raises into StoreError."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise DamageError(f"{error.filename} is not there, or is no file") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise DamageError(f"{error.filename} is a link to itself") from error
        raise unreadable(folder, error) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamageError(f"its manifest is malformed ({error})") from error
