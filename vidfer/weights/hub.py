"""Files fetched through pooch, and weights by the names that a registry gives them.

A registry is JSON, `{"weights": {NAME: {"kind", "licence", "about", "url", "size", "sha256"}}}`. `size` is in bytes, of all
files together; `sha256` has the checksums of `.json` (the card) and `.safetensors`, and of `.onnx` (the graph) where there is
one, which lie at `<url>/NAME.json` and so on. Shipped weights are in none: all that is to be known about them stands in their
cards.
"""

import json
import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from vidfer import __version__
from vidfer.limits import MAX_REGISTRY_BYTES
from vidfer.pipeline.atomic import sync, write_atomic
from vidfer.pipeline.bounded import parse_json, read_bounded, read_json
from vidfer.pipeline.digest import file_digest
from vidfer.pipeline.system import lock_file, move
from vidfer.types import UsageError, VidferError
from vidfer.weights.files import GRAPH, NAME, SHIPPED, Weights, find_weights, read_card, shipped_folder, weights_folder

Progress = Callable[[int, int | None], None]
"""Called with the bytes at hand and, where known, those of the whole file."""

SUFFIXES: Final = (".json", ".safetensors")
"""The files that all weights have: card and tensors."""

DIGESTS: Final = "digests.json"
"""Name of the file with the digests of all others in this folder that hold data."""

_ADDRESS: Final = re.compile("https?://")
_TEXTS: Final = ("kind", "licence", "about", "url")
_NEEDED: Final = (
    f"needs a name of letters, digits, - and _ (no dot, no slash), the texts {', '.join(_TEXTS)} (kind: one of "
    f"{', '.join(SHIPPED)}; url: http or https), size, and sha256 of {' and '.join(SUFFIXES)}, "
    f"perhaps of {GRAPH}, and of nothing else"
)
_RECORD: Final = ".pulled.json"
_BLOCK: Final = 1 << 18
_PATIENCE: Final = 60.0  # seconds without a byte


@dataclass(frozen=True)
class Entry:
    """Weights as a registry describes them, or their card where they ship with vidfer: then without `url` and `sha256`."""

    name: str
    kind: str
    licence: str
    about: str
    size: int
    url: str = ""
    sha256: dict[str, str] = field(default_factory=dict)

    def places(self) -> dict[Path, str]:
        """Return where the files lie once they are pulled, the card first, with their checksums, empty where none is known."""
        known = self.sha256
        suffixes = (".json", *({GRAPH} & {*known}), ".safetensors") if self.url else ()
        return {weights_folder() / f"{self.name}{suffix}": known.get(suffix, "") for suffix in suffixes}

    @property
    def here(self) -> bool:
        """Whether all files lie where weights are looked for."""
        return all(path.is_file() for path in self.places())

    def faults(self) -> list[str]:
        """Say what is wrong with the files that are here: other checksums, or tensors that are not the card's."""
        from pooch import file_hash

        found = {path: (file_hash(str(path)), sha256) for path, sha256 in self.places().items() if sha256}
        wrong = [f"{path} has the sha256 {one}, not {other}" for path, (one, other) in found.items() if one != other]
        if not self.url:
            wrong = changed_files(name for name in shipped_digests() if name.split(".")[0] == self.name)
        try:
            if not wrong:
                weights = find_weights(self.kind, self.name)
                weights.read()
                if "graph" in weights.card:
                    weights.graph()
        except VidferError as error:
            wrong = [str(error)]
        return wrong


def shipped_digests() -> dict[str, str]:
    """Return the blake3 digests of the files of weights in the package, by their names; `make cards` renews them."""
    digests: dict[str, str] = read_json(shipped_folder() / DIGESTS)
    return digests


def changed_files(names: Iterable[str]) -> list[str]:
    """Say which of these files of the package are missing, or are not those that it was made with."""
    known, folder = shipped_digests(), shipped_folder()
    wrong = []
    for name in names:
        try:
            right = file_digest(folder / name) == known[name]
        except OSError as error:
            wrong.append(f"{folder / name} cannot be read ({error.strerror})")
            continue
        if not right:
            wrong.append(f"{folder / name} is not the file that it was when vidfer was packed")
    return wrong


def shipped() -> dict[str, Entry]:
    """List the weights in the package, from their cards."""
    found = {}
    for kind, name in ((kind, name) for kind, names in SHIPPED.items() for name in names):
        weights = find_weights(kind, name)
        licence = str(weights.card.get("licence", "")).removeprefix("Weights: ")
        about = f"trained on {weights.card.get('data', {}).get('source', '?')}"
        size = sum(path.stat().st_size for path in weights.files)
        found[name] = Entry(name, kind, licence, about, size)
    return found


def pulled() -> dict[str, Entry]:
    """List what was pulled, as the registries of then described it."""
    found: dict[str, Entry] = {}
    for path in sorted(weights_folder().glob(f"*{_RECORD}")):
        found |= read_registry(str(path))
    return found


def record_of(name: str) -> Path:
    """Return where the registry's entry of pulled weights is kept: a registry of them alone, to pull them again with."""
    return weights_folder() / f"{name}{_RECORD}"


def read_registry(place: str) -> dict[str, Entry]:
    """Read a registry's entries from a file, or from an address that starts with http:// or https://.

    Raises:
        VidferError: It cannot be read or fetched, or is none.
    """
    with TemporaryDirectory() as folder:
        path = Path(place)
        if _ADDRESS.match(place):
            path = fetch(place, Path(folder) / "registry.json", progress=_refuse_large)
        try:
            content = parse_json(read_bounded(path, MAX_REGISTRY_BYTES))
        except OSError as error:
            raise VidferError(f"the registry {place} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise VidferError(f"the registry {place} is no JSON: {error}") from error
    weights = content.get("weights") if isinstance(content, dict) else None
    if not isinstance(weights, dict):
        raise VidferError(f"the registry {place} has no table 'weights' of names")
    for name, fields in weights.items():
        if not _is_entry(name, fields):
            raise VidferError(f"the registry {place} is not usable: '{name}' {_NEEDED}")
    return {
        name: Entry(name, **{key: fields[key] for key in (*_TEXTS, "size", "sha256")})
        for name, fields in weights.items()
    }


def _is_entry(name: str, fields: Any) -> bool:  # noqa: ANN401 - whatever a JSON file holds
    texts = isinstance(fields, dict) and all(isinstance(fields.get(key), str) for key in _TEXTS)
    if not texts or not NAME.fullmatch(name) or fields["kind"] not in SHIPPED or not _ADDRESS.match(fields["url"]):
        return False
    size, sha256 = fields.get("size"), fields.get("sha256")
    if type(size) is not int or size <= 0 or not isinstance(sha256, dict):
        return False
    if {*sha256} - {GRAPH} != {*SUFFIXES}:
        return False
    return all(re.fullmatch("[0-9a-f]{64}", str(digits)) for digits in sha256.values())


def _refuse_large(done: int, total: int | None) -> None:
    if max(done, total or 0) > MAX_REGISTRY_BYTES:
        raise VidferError(
            f"the registry is larger than {MAX_REGISTRY_BYTES // 1_000_000} MB: give the address of the JSON file itself"
        )


def pull(entry: Entry, shown: Callable[[str], AbstractContextManager[Progress]]) -> Weights:
    """Fetch weights and their card, or what is missing of them, and check both; `shown` shows a file's progress by its name.

    The card comes first and the tensors last, so that weights are found by name when they are whole and not before.

    Raises:
        VidferError: They ship with vidfer, other files are in their place, or what came is not what the card describes.
    """
    if not entry.url or any(entry.name in names for names in SHIPPED.values()):
        raise VidferError(
            f"'{entry.name}' ships with vidfer: there is nothing to pull, and other weights need another name"
        )
    places = entry.places()
    tensors = next(reversed(places))
    checks: dict[str, Callable[[], object]] = {
        ".json": lambda: read_card(tensors, entry.kind),
        GRAPH: lambda: Weights(tensors, read_card(tensors, entry.kind)).graph(),
        ".safetensors": lambda: find_weights(entry.kind, tensors).read(),
    }
    for path in places:
        with shown(path.name) as progress:
            fetch(f"{entry.url.rstrip('/')}/{path.name}", path, sha256=places[path], progress=progress)
        try:
            checks[path.suffix]()
        except VidferError as error:
            for each in reversed(places):
                each.unlink(missing_ok=True)
            raise VidferError(f"{error}; it was removed: whoever keeps the registry has to mend it") from error
    record = record_of(entry.name)
    fields = asdict(entry)
    try:
        write_atomic(record, json.dumps({"weights": {fields.pop("name"): fields}}, indent=2) + "\n")
    except OSError as error:
        raise VidferError(f"{record} cannot be written: {error.strerror}") from error
    return find_weights(entry.kind, tensors)


def fetch(
    url: str, target: Path, *, sha256: str | None = None, size: int | None = None, progress: Progress = lambda *_: None
) -> Path:
    """Fetch a file, or what is missing of it, check it, and put it into its place whole.

    A file that is there already is checked and left as it is. What came before a break is kept in `<target>.part`, and
    calling again goes on from there if a checksum is given, which proves that both parts belong together.

    Raises:
        UsageError: The address is neither http nor https.
        VidferError: The server, the connection, the disk or the file's content is at fault.
    """
    from pooch import file_hash, get_logger, retrieve

    if not _ADDRESS.match(url):
        raise UsageError(f"'{url}' is no address that starts with http:// or https://")
    get_logger().setLevel("WARNING")
    downloader = _Downloader(target.with_name(f"{target.name}.part"), size, progress, keep=sha256 is not None)
    try:
        if target.exists() and sha256 and (found := file_hash(str(target))) != sha256:
            raise VidferError(f"{target} has the sha256 {found}, not {sha256}: delete it to fetch it anew")
        target.parent.mkdir(parents=True, exist_ok=True)
        retrieve(url, sha256, target.name, target.parent, downloader=downloader)
    except ValueError as error:  # pooch found another checksum
        raise VidferError(
            f"{url} holds a file of another sha256 than {sha256}: it was removed; fetch it again, or from "
            "another address"
        ) from error
    except OSError as error:
        raise VidferError(f"{error.filename or downloader.part} cannot be read or written: {error.strerror}") from error
    return target


@dataclass(frozen=True)
class _Downloader:
    """What pooch calls to download: it goes on where the last download broke off."""

    part: Path
    size: int | None
    progress: Progress
    keep: bool

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        with self.part.open("ab") as file:
            try:
                lock_file(file.fileno(), wait=False)
            except BlockingIOError as error:
                raise VidferError(f"{self.part} is being fetched by another process: wait for it") from error
            have = file.tell()
            if not self.keep or (self.size is not None and have > self.size):
                have = file.truncate(file.seek(0))
            try:
                if not have or have != self.size:
                    self._receive(url, have, file)
            finally:
                if not file.tell():  # nothing came
                    with suppress(PermissionError):  # of Windows, while it is open: then an empty one stays
                        self.part.unlink()
        sync(self.part)
        move(self.part, Path(output_file), replace=True)

    def _receive(self, url: str, have: int, file: IO[bytes]) -> None:
        with _request(url, have) as response:
            if response.status != 206:
                have = file.truncate(file.seek(0))
            length = response.headers.get("Content-Length", "")
            total = have + int(length) if length.isdecimal() else self.size
            if self.size is not None and total != self.size:
                raise VidferError(f"{url} holds {total} bytes, not the {self.size} expected: try another address")
            self.progress(have, total)
            reason = ""
            try:
                while block := response.read(_BLOCK):
                    have += file.write(block)
                    self.progress(have, total)
            except (TimeoutError, ConnectionError, HTTPException) as error:
                reason = f" ({error})"
        if reason or (total is not None and have < total):
            done = f"{have / 1e6:.1f}{f' of {total / 1e6:.1f}' if total else ''} MB"
            raise VidferError(
                f"the connection to {url} broke off after {done}{reason}; what was fetched is kept, run the same "
                "command again to go on"
            )


def _request(url: str, have: int) -> HTTPResponse:
    headers = {"User-Agent": f"vidfer/{__version__}"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        response: HTTPResponse = urlopen(Request(url, headers=headers), timeout=_PATIENCE)  # nosec # `fetch` takes http alone
    except HTTPError as error:
        error.close()
        if error.code == 416 and have:  # more is here than there
            return _request(url, 0)
        raise VidferError(f"{url} answered {error.code} {error.reason}: try later, or another address") from error
    except (OSError, HTTPException, ValueError) as error:  # ValueError: letters that no address has
        reason = error.reason if isinstance(error, URLError) else error
        raise VidferError(f"{url} cannot be reached ({reason}): try later, or another address") from error
    if response.headers.get_content_type() == "text/html":
        response.close()
        raise VidferError(f"{url} answered with a web page, not with a file: open it in a browser to see why")
    return response
