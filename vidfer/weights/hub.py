"""Fetch weights that a registry lists into the user's folder of weights."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from vidfer.pipeline.atomic import write_atomic
from vidfer.types import VidferError
from vidfer.weights.catalogue import SUFFIXES, Entry, parse_registry, shipped
from vidfer.weights.download import Progress, Wanted, download
from vidfer.weights.files import SHIPPED, Weights, find_weights, read_card, weights_folder

_RECORD: Final = ".pulled.json"
_LARGEST: Final = 10_000_000  # bytes of a registry


def read_registry(place: str | None) -> dict[str, Entry]:
    """Read a registry.

    Args:
        place: A file, or an address that starts with http:// or https://; None for the package's own.

    Returns:
        Its entries by name.

    Raises:
        VidferError: It cannot be read or fetched, or is none.
    """
    if place is None:
        return shipped()
    if re.match(r"https?://", place):
        with TemporaryDirectory() as folder:
            target = Path(folder) / "registry.json"
            download(Wanted(place, target), progress=_refuse_large)
            return parse_registry(target.read_bytes(), place)
    try:
        return parse_registry(Path(place).read_bytes(), place)
    except OSError as error:
        raise VidferError(f"the registry {place} cannot be read: {error.strerror}") from error


def pulled() -> dict[str, Entry]:
    """List what was pulled, as the registries of then described it.

    Raises:
        VidferError: A record of it is damaged.
    """
    found: dict[str, Entry] = {}
    for path in sorted(weights_folder().glob(f"*{_RECORD}")):
        found |= read_registry(str(path))
    return found


def record_of(name: str) -> Path:
    """Return where the registry's entry of pulled weights is kept: a registry of them alone, to pull them again with."""
    return weights_folder() / f"{name}{_RECORD}"


def pull(
    entry: Entry,
    shown: Callable[[Wanted], AbstractContextManager[Progress]],
    say: Callable[[str], None] = lambda message: None,
) -> Weights:
    """Fetch weights and their card, or what is missing of them, and check both.

    The card comes first and the tensors last, so that weights are found by name when they are whole and not before.

    Args:
        entry: What to fetch.
        shown: Shows the progress of a file.
        say: Told, in a sentence, when what was fetched earlier cannot be continued.

    Returns:
        The weights in the user's folder.

    Raises:
        VidferError: They ship with vidfer, other files are in their place, the connection or the disk fails, or what came
            is not what the registry or the card describes.
    """
    if entry.url is None or any(entry.name in names for names in SHIPPED.values()):
        raise VidferError(
            f"'{entry.name}' ships with vidfer: there is nothing to pull, and other weights need another name"
        )
    folder = weights_folder()
    card, tensors = (folder / f"{entry.name}{suffix}" for suffix in SUFFIXES)
    other = [path for path in (card, tensors) if path.exists() and entry.fault(path.suffix, folder)]
    if other:
        names = " and ".join(map(str, other))
        raise VidferError(f"{names} differ from what the registry lists: delete {names} to pull '{entry.name}' anew")
    _fetch(entry, card, shown, say)
    try:
        read_card(tensors, entry.kind)
    except VidferError as error:
        card.unlink()
        raise VidferError(f"{error}; it was removed: whoever keeps the registry has to mend it") from error
    _fetch(entry, tensors, shown, say)
    weights = find_weights(entry.kind, tensors)
    try:
        weights.read()
        write_atomic(record_of(entry.name), entry.as_registry())
    except VidferError as error:
        tensors.unlink()
        card.unlink()
        raise VidferError(f"{error}; both were removed: whoever keeps the registry has to mend it") from error
    except OSError as error:
        raise VidferError(f"{record_of(entry.name)} cannot be written: {error.strerror}") from error
    return weights


def _fetch(
    entry: Entry, target: Path, shown: Callable[[Wanted], AbstractContextManager[Progress]], say: Callable[[str], None]
) -> None:
    file = entry.files[target.suffix]
    wanted = Wanted(f"{(entry.url or '').rstrip('/')}/{target.name}", target, file["size"], file["sha256"])
    with shown(wanted) as progress:
        download(wanted, progress=progress, say=say)


def _refuse_large(done: int, total: int | None) -> None:
    if max(done, total or 0) > _LARGEST:
        raise VidferError(
            f"the registry is larger than {_LARGEST // 1_000_000} MB: give the address of the JSON file itself"
        )
