"""Which weights there are: `catalogue.json`, and registries of the same form that labs keep for themselves.

A registry is JSON: `{"weights": {NAME: {"kind", "arch", "licence", "about", "url", "files"}}}`. `files` gives `size` in bytes
and `sha256` of the two files `.safetensors` and `.json` (the card); they are fetched from `<url>/NAME.safetensors` and
`<url>/NAME.json`. Weights that ship in the package have no `url`. `python -m vidfer.weights.catalogue` writes the sizes
and checksums of those anew; it is all there is to do after shipped weights were replaced.
"""

import hashlib
import json
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from vidfer.pipeline.atomic import write_atomic
from vidfer.types import VidferError
from vidfer.weights.files import NAME, SHIPPED, find_weights

CATALOGUE: Final = Path(__file__).with_name("catalogue.json")
"""The registry in the package."""

SUFFIXES: Final = (".json", ".safetensors")
"""The files of each weights: card and tensors."""

_TEXTS: Final = ("kind", "arch", "licence", "about")


@dataclass(frozen=True)
class Entry:
    """What a registry says about weights.

    Args:
        name: Their name.
        kind: `image`, `audio` or `denoise`.
        arch: The network.
        licence: Terms, in a few words; the card has them in full.
        about: What they are, in one line.
        files: `size` in bytes and `sha256` of each file, by suffix.
        url: Address of the folder that holds the files; None for weights in the package.
    """

    name: str
    kind: str
    arch: str
    licence: str
    about: str
    files: dict[str, dict[str, Any]]
    url: str | None = None

    @property
    def size(self) -> int:
        """Bytes of both files."""
        return sum(int(file["size"]) for file in self.files.values())

    def as_registry(self) -> bytes:
        """Write a registry of these weights alone."""
        fields = asdict(self)
        return _as_json({fields.pop("name"): fields})

    def fault(self, suffix: str, folder: Path) -> str | None:
        """Hold one of the files against size and checksum.

        Args:
            suffix: `.safetensors` or `.json`.
            folder: Where the file lies.

        Returns:
            What is wrong with it in a few words; None if nothing is.
        """
        path = folder / f"{self.name}{suffix}"
        try:
            found = _measure(path)
        except OSError as error:
            return f"{path} cannot be read: {error.strerror}"
        for key, expected in self.files[suffix].items():
            if found[key] != expected:
                return f"{path} has the {key} {found[key]}, not {expected}"
        return None


def parse_registry(data: bytes, source: str) -> dict[str, Entry]:
    """Read a registry.

    Args:
        data: Its bytes.
        source: Where it comes from, for messages.

    Returns:
        Its entries by name.

    Raises:
        VidferError: It is no JSON, or an entry lacks something or asks for what is never pulled.
    """
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise VidferError(f"the registry {source} is no JSON: {error}") from error
    weights = content.get("weights") if isinstance(content, dict) else None
    if not isinstance(weights, dict):
        raise VidferError(f"the registry {source} has no table 'weights' of names")
    return {name: _entry(name, fields, source) for name, fields in weights.items()}


def shipped() -> dict[str, Entry]:
    """Read the package's own registry.

    Raises:
        VidferError: It is missing or damaged.
    """
    try:
        return parse_registry(CATALOGUE.read_bytes(), str(CATALOGUE))
    except OSError as error:
        raise VidferError(f"{CATALOGUE} cannot be read ({error.strerror}): reinstall vidfer") from error


def refresh(path: Path = CATALOGUE) -> None:
    """Write sizes and checksums of the weights in the package anew; what people wrote stays.

    Args:
        path: The registry.

    Raises:
        VidferError: Weights do not fit their card.
    """
    old: dict[str, Any] = json.loads(path.read_bytes())["weights"]
    new = {}
    for kind, names in SHIPPED.items():
        for name in names:
            weights = find_weights(kind, name)
            weights.read()
            told = {key: old.get(name, {}).get(key, weights.card.get(key, "")) for key in ("licence", "about")}
            files = {suffix: _measure(weights.path.with_suffix(suffix)) for suffix in SUFFIXES}
            new[name] = {"kind": kind, "arch": weights.card["arch"], **told, "files": files}
    new |= {name: fields for name, fields in old.items() if name not in new and "url" in fields}
    write_atomic(path, _as_json(new))


def _entry(name: str, fields: Any, source: str) -> Entry:  # noqa: ANN401 - whatever a JSON file holds
    fault = _fault_of_text(name, fields) or _fault_of_files(fields.get("files"))
    if fault:
        raise VidferError(f"the registry {source} is not usable: '{name}' {fault}")
    files = {suffix: {key: fields["files"][suffix][key] for key in ("size", "sha256")} for suffix in SUFFIXES}
    texts = {key: fields[key] for key in _TEXTS}
    return Entry(name, **texts, files=files, url=fields.get("url"))


def _fault_of_text(name: str, fields: object) -> str | None:
    if not NAME.fullmatch(name):
        return "is no name: letters, digits, - and _ only, so neither a dot nor a slash"
    if not isinstance(fields, dict):
        return "is no table"
    for key in _TEXTS:
        if not isinstance(fields.get(key), str):
            return f"has no text '{key}'"
    if fields["kind"] not in SHIPPED:
        return f"is of kind '{fields['kind']}': the kinds are {', '.join(SHIPPED)}"
    url = fields.get("url")
    if url is None:
        return None if name in SHIPPED[fields["kind"]] else "has no 'url'"
    served = isinstance(url, str) and re.match(r"https?://", url)
    return None if served else "has a 'url' that does not start with http:// or https://"


def _fault_of_files(files: object) -> str | None:
    if not isinstance(files, dict) or sorted(files) != sorted(SUFFIXES):
        return f"has other 'files' than {' and '.join(SUFFIXES)}: nothing else is pulled"
    for suffix in SUFFIXES:
        if not _measured(files[suffix]):
            return f"has no 'size' in bytes and 'sha256' of 64 lower-case hexadecimal digits of {suffix}"
    return None


def _measured(file: object) -> bool:
    size, sha256 = (file.get("size"), file.get("sha256")) if isinstance(file, dict) else (None, None)
    whole = type(size) is int and size > 0
    return whole and isinstance(sha256, str) and bool(re.fullmatch(r"[0-9a-f]{64}", sha256))


def _measure(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"size": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _as_json(weights: dict[str, Any]) -> bytes:
    return (json.dumps({"weights": weights}, indent=2) + "\n").encode()


if __name__ == "__main__":
    try:
        refresh()
    except VidferError as error:
        sys.exit(f"vidfer: {error}")
