"""Artifacts on disk: written whole or not at all, checked when read, never repaired in place.

The store is plain files, so that any number of processes and machines can share it without a lock or a database.
Who may read it is decided by the rights of its folder (`vidfer.pipeline.rights`). It holds:

    <root>/<stage>/<key[:2]>/<key>/manifest.json   and the artifact's files beside it
    <root>/tmp/                                    what is being written, or was when its writer died
    <root>/quarantine/                             artifacts whose bytes no longer match their manifest
    <root>/memo/                                   content digests of clips (see `vidfer.pipeline.digest`)

A store at an address (`vidfer.pipeline.remote`) has such a folder on each machine, its mirror: what is read and written lies
there, too (`vidfer.pipeline.mirror`).
"""

import errno
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from vidfer.pipeline.artifact import Artifact as Artifact
from vidfer.pipeline.artifact import Draft as Draft
from vidfer.pipeline.artifact import StoreError as StoreError
from vidfer.pipeline.artifact import explained as explained
from vidfer.pipeline.artifact import load
from vidfer.pipeline.artifact import reading as reading
from vidfer.pipeline.artifact import unreadable as unreadable
from vidfer.pipeline.atomic import sync
from vidfer.pipeline.left import remove_left
from vidfer.pipeline.manifest import MANIFEST as MANIFEST
from vidfer.pipeline.manifest import DamageError
from vidfer.pipeline.remote import Remote, read_place
from vidfer.pipeline.rights import close_to_others, make_folder
from vidfer.pipeline.system import move
from vidfer.types import VidferError

Place = str | Path
"""Where a store is: a folder, or an address such as `s3://bucket/prefix`, which is a `str` always."""

_KEY = re.compile("[0-9a-f]{64}")
_tidied: set[Path] = set()


class Store:
    """A folder of artifacts, found by stage and key; it is made when the first one is written.

    Attributes:
        root: The folder; of a store at an address the mirror on this machine.
        remote: The other side of a store at an address.
        quarantined: The (stage, key) pairs that this object found damaged and moved to quarantine.

    Raises:
        UsageError: An address is malformed, or needs a package that is not installed.
    """

    def __init__(self, place: Place) -> None:
        found = read_place(place)
        self.remote = found if isinstance(found, Remote) else None
        if isinstance(found, Remote):
            found.require()
            found = user_folder("VIDFER_MIRRORS", "vidfer-mirrors") / found.slug
            close_to_others(found)
        self.root = found.expanduser().absolute()
        self.quarantined: set[tuple[str, str]] = set()
        self._verified: set[Path] = set()

    def __reduce__(self) -> tuple[type["Store"], tuple[str]]:
        """Open it anew in another process, which may be on a machine with another mirror."""
        return Store, (self.place,)

    @property
    def place(self) -> str:
        """What another process opens the same store by."""
        return str(self.remote or self.root)

    def path(self, stage: str, key: str) -> Path:
        """Return the folder in which an artifact stands, or would."""
        return self.root / stage / key[:2] / key

    def find(self, stage: str, key: str, *, to_read: bool = True) -> Artifact | None:
        """Look an artifact up.

        The names and sizes of its files are checked at every call; the manifest's seal where the files are `to_read`, and
        digests at the first such call in this object's life. An artifact that fails is moved to `quarantine/`, remembered in
        `quarantined`, and counts as absent; one that cannot be read stays, and raises StoreError.

        What a mirror lacks is fetched, and every byte of it checked; what was not sent yet is sent.
        """
        found = self._find_here(stage, key, to_read=to_read)
        if self.remote is None:
            return found
        from vidfer.pipeline import mirror

        if found is None:
            return mirror.fetch(self, self.remote, stage, key)
        return mirror.send(self, self.remote, found) if mirror.is_due(self, stage, key) else found

    def _find_here(self, stage: str, key: str, *, to_read: bool = True) -> Artifact | None:
        folder = self.path(stage, key)
        with reading(folder):
            try:
                folder.stat()
                manifest = load(folder, folder, digests=to_read and folder not in self._verified, sealed=to_read)
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
            load(folder, place or folder, digests=True)
        except DamageError as damage:
            return str(damage)
        return ""

    def draft(self, stage: str, key: str) -> Draft:
        """Return a draft of an artifact; the first in a process first removes what killed ones have left of theirs."""
        if self.root not in _tidied:
            _tidied.add(self.root)
            for place in ("tmp", "memo"):
                remove_left(self.root / place)
        return Draft(self.root, stage, key)

    def publish(self, artifact: Artifact) -> Artifact:
        """Move a sealed artifact to its place in one rename, and send it to the remote store, if this is one's mirror.

        If another process or machine was faster, its artifact is returned and this one dropped: both are results of one recipe.

        Raises:
            StoreError: It cannot be kept; or not be sent: then it stays in the mirror, and the next `find` sends it.
        """
        if self.remote is None:
            return self.commit(artifact)
        from vidfer.pipeline import mirror

        mirror.mark_due(self, artifact.manifest["stage"], artifact.key)
        return mirror.send(self, self.remote, self.commit(artifact))

    def commit(self, artifact: Artifact) -> Artifact:
        """Do what `publish` does, in this folder only."""
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
                    if winner := self._find_here(
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


def default_store() -> Place:
    """Return the store of everything that names no other one: `$VIDFER_STORE`, or `vidfer` in the user's cache folder.

    The one in the cache folder is the user's alone; who shares one names it.
    """
    named = os.environ.get("VIDFER_STORE", "")
    if "://" in named:
        return named
    store = user_folder("VIDFER_STORE", "vidfer")
    if not named:
        close_to_others(store)
    return store


def user_folder(variable: str, name: str) -> Path:
    """Return the folder that an environment variable names, or else a folder of that name in the user's cache folder."""
    from platformdirs import user_cache_path

    try:
        return Path(os.environ.get(variable) or user_cache_path(name, appauthor=False)).expanduser()
    except RuntimeError as error:
        raise VidferError(f"there is no home folder with a cache: set ${variable} to a folder") from error
