"""Between a mirror and its remote store: what is sent, what is fetched, and what is found damaged there.

The remote store has the same layout but for the names of an artifact's files:

    <stage>/<key[:2]>/<key>/manifest.json      put last, and only where there is none
    <stage>/<key[:2]>/<key>/<blake3>-<name>    so that two writers of one artifact never put different bytes under one name
    quarantine/<stage>-<key>-<random>/         artifacts whose bytes do not match their manifest

An artifact is there once its manifest is. `<root>/uploads/<stage>-<key>` in the mirror says that one may not have been sent yet.
"""

import shutil
import stat
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vidfer.pipeline.artifact import Artifact, Json, explained, finding_damage, load, parse
from vidfer.pipeline.atomic import sync
from vidfer.pipeline.left import new_grave
from vidfer.pipeline.manifest import MANIFEST, DamageError
from vidfer.pipeline.rights import make_folder, write_synced
from vidfer.pipeline.system import move

if TYPE_CHECKING:
    from vidfer.pipeline.remote import Remote
    from vidfer.pipeline.store import Store

UPLOADS: Final = "uploads"


def prefix_of(stage: str, key: str) -> str:
    """Return what the names of an artifact's objects begin with, and a slash."""
    return f"{stage}/{key[:2]}/{key}"


def object_names(manifest: Json) -> dict[str, str]:
    """Return the last part of the names of an artifact's objects, and the file that each is of."""
    return {f"{entry['blake3']}-{entry['name']}": entry["name"] for entry in manifest.get("files", ())}


def is_due(store: "Store", stage: str, key: str) -> bool:
    """Tell whether an artifact of the mirror may not have been sent whole."""
    return _note(store, stage, key).exists()


def mark_due(store: "Store", stage: str, key: str) -> None:
    """Note that an artifact of the mirror is to be sent."""
    note = _note(store, stage, key)
    with explained(store.root):
        make_folder(store.root, note.parent)
        write_synced(store.root, note, b"")
        sync(note.parent)


def send(store: "Store", remote: "Remote", artifact: Artifact) -> Artifact:
    """Put an artifact of the mirror: its files, then its manifest; the note that it is due goes last.

    Where another machine was faster, its artifact takes the place of this one in the mirror, and is returned.
    """
    stage, key = str(artifact.manifest["stage"]), artifact.key
    prefix = prefix_of(stage, key)
    with explained(store.root):
        text = (artifact.path / MANIFEST).read_bytes()
        while True:
            theirs = _manifest(remote, prefix)
            if theirs is None:
                files = object_names(artifact.manifest).items()
                remote.send({f"{prefix}/{name}": artifact.path / file for name, file in files})
                if remote.create(f"{prefix}/{MANIFEST}", text):
                    break
            elif theirs == text:
                break
            elif winner := fetch(store, remote, stage, key, replace=True):
                artifact = winner
                break
        _note(store, stage, key).unlink(missing_ok=True)
    return artifact


def fetch(store: "Store", remote: "Remote", stage: str, key: str, *, replace: bool = False) -> Artifact | None:
    """Bring an artifact into the mirror, where it may `replace` another; None where there is none, or a damaged one.

    A damaged one goes to the remote store's quarantine and is remembered in `store.quarantined`.
    """
    target = store.path(stage, key)
    try:
        with store.draft(stage, key) as draft, explained(store.root):
            manifest = _download(remote, stage, key, draft.path, store.root)
            if manifest is None:
                return None
            if replace:
                _put_away(store, target)
            found = store.commit(Artifact(draft.path, manifest))
            store.quarantined.discard((stage, key))
            return found
    except DamageError:
        if quarantine(store, remote, stage, key):
            store.quarantined.add((stage, key))
        return None


def quarantine(store: "Store", remote: "Remote", stage: str, key: str) -> str:
    """Check every byte of a remote artifact; a damaged one is copied to quarantine, then removed from its place.

    Returns what is wrong with it: nothing where it is sound, is not there, or was put anew while it was checked. The mirror's own
    copy, where it has one, is sent by the next `find`.
    """
    prefix = prefix_of(stage, key)
    seen = remote.version(f"{prefix}/{MANIFEST}")
    fault = ""
    try:
        with store.draft(stage, key) as draft, explained(store.root):
            _download(remote, stage, key, draft.path, store.root)
    except DamageError as damage:
        fault = str(damage)
    if not fault or seen is None or remote.version(f"{prefix}/{MANIFEST}") != seen:
        return ""
    place = f"quarantine/{stage}-{key}-{uuid.uuid4().hex[:8]}"
    names = [each.name for each in remote.list(prefix)]
    names.sort(key=lambda name: not name.endswith(f"/{MANIFEST}"))  # first: without it the rest is no artifact
    remote.copy({name: f"{place}/{name.rpartition('/')[2]}" for name in names})
    remote.delete(names)
    if store.path(stage, key).is_dir():
        mark_due(store, stage, key)
    return fault


def _note(store: "Store", stage: str, key: str) -> Path:
    return store.root / UPLOADS / f"{stage}-{key}"


def _manifest(remote: "Remote", prefix: str) -> bytes | None:
    with suppress(FileNotFoundError):
        return remote.read(f"{prefix}/{MANIFEST}")
    return None


def _download(remote: "Remote", stage: str, key: str, folder: Path, root: Path) -> dict[str, Any] | None:
    """Fetch an artifact into a folder, with the store's rights and on the disk, and check it; None where there is none."""
    prefix = prefix_of(stage, key)
    text = _manifest(remote, prefix)
    if text is None:
        return None
    with finding_damage(folder):
        manifest = parse(text, stage, key)
        files = {f"{prefix}/{name}": folder / file for name, file in object_names(manifest).items()}
        if any(file.parent != folder or file.name == MANIFEST for file in files.values()):
            raise DamageError("its manifest names a file in another folder")
    try:
        remote.fetch(files)
    except FileNotFoundError as error:
        if _manifest(remote, prefix) is None:  # removed meanwhile
            return None
        raise DamageError(f"a file of it is not there ({error})") from error
    write_synced(root, folder / MANIFEST, text)
    for file in files.values():
        file.chmod(stat.S_IMODE(root.stat().st_mode) & 0o666)
        sync(file)
    sync(folder)
    return load(folder, Path(prefix), digests=True)


def _put_away(store: "Store", folder: Path) -> None:
    """Remove an artifact of the mirror, in one rename."""
    grave = new_grave(store.root)
    with suppress(FileNotFoundError):
        move(folder, grave)
    shutil.rmtree(grave, ignore_errors=True)
