"""Whether an artifact's files are those that its manifest lists, and the manifest that which was sealed."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from blake3 import blake3

from vidfer.pipeline.digest import dump_json, file_digest

MANIFEST: Final = "manifest.json"


class DamageError(Exception):
    """The bytes of an artifact are not those that were sealed."""


def is_sealed(text: bytes, manifest: Mapping[str, Any]) -> bool:
    """Tell whether a manifest is canonical JSON, and its seal is the digest of the rest, as `seal_of` makes it."""
    seal = str(manifest["seal"])
    rest = text.replace(f'"seal":"{seal}",'.encode(), b"", 1)
    return text == dump_json(manifest) and blake3(rest).hexdigest() == seal


def check_files(folder: Path, listed: list[Mapping[str, Any]], *, digests: bool) -> None:
    """Check that a folder holds the files that a manifest lists and no others, by size and, with `digests`, by content.

    Raises:
        DamageError: It does not.
    """
    names = {entry["name"] for entry in listed}
    with os.scandir(folder) as inside:
        sizes = {one.name: one.stat().st_size for one in inside if one.name != MANIFEST}
    if sizes.keys() != names:
        raise DamageError(f"its files are {sorted(sizes)}, the manifest names {sorted(names)}")
    for entry in listed:
        if sizes[entry["name"]] != entry["size"]:
            raise DamageError(f"{entry['name']} has {sizes[entry['name']]} bytes, not {entry['size']}")
        if digests and file_digest(folder / entry["name"]) != entry["blake3"]:
            raise DamageError(f"the bytes of {entry['name']} have changed")
