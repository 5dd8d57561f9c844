"""What in files tells of clips: digests, keys and names, looked for in each kind of file that vidfer writes."""

import gzip
import html
import json
import os
import re
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote
from zipfile import BadZipFile, ZipFile

_HEX: Final = re.compile(rb"[0-9a-f]{64}")
_WORD: Final = re.compile(r"[A-Za-z_-]*")
_PIXELS: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".mp4", ".npy", ".onnx"})
"""Files that have no text; they are known by where they lie."""


@dataclass(frozen=True)
class Traces:
    """Digests and keys, 64 hexadecimal digits each, and names of clips: ids and paths, as tables have them.

    A name counts where it stands alone: `a.mp4` is not in `banana.mp4`, `x/a.mp4` or `a.mp4.bak`, and is in `a.mp4#1` and
    `./a.mp4/report.html`. One that may be a word, such as `frames`, counts as a whole cell of Parquet and as `frames#1`.
    """

    digests: frozenset[str]
    names: frozenset[str] = frozenset()
    loose: bool = False  # a name counts behind a slash, too

    @cached_property
    def _digests(self) -> frozenset[bytes]:
        return frozenset(each.encode() for each in self.digests)

    @cached_property
    def _names(self) -> re.Pattern[bytes] | None:
        written = {
            each for name in self.names for each in _spellings(name if not _WORD.fullmatch(name) else f"{name}#")
        }
        if not written:
            return None
        before = rb"(?<![\w.\-])" if self.loose else rb"(?:(?<![\w.\-/])|(?<=(?<![\w.\-/])\./))"
        after = rb"(?![\w\-]|\.\w)"
        words = (re.escape(each) + (rb"\d" if each.endswith(b"#") else after) for each in sorted(written))
        return re.compile(before + b"(?:" + b"|".join(words) + b")")

    def in_bytes(self, data: bytes) -> str:
        """Return the first digest, key or name in a text, or nothing."""
        if found := next((each for each in _HEX.findall(data) if each in self._digests), None):
            return str(found, "ascii")
        name = self._names.search(data) if self._names else None
        return str(name[0], errors="replace") if name else ""

    def reads(self, path: Path) -> bool:
        """Tell whether a file has text, which `in_file` reads."""
        return path.suffix not in _PIXELS

    def in_file(self, path: Path) -> str:
        """Return the first digest, key or name in a file, or nothing; pixels and arrays are not read.

        Raises:
            OSError: It cannot be read.
        """
        if not self.reads(path):
            return ""
        with path.open("rb") as file:
            if path.suffix == ".safetensors":  # its header alone is text
                length = int.from_bytes(file.read(8), "little")
                return self.in_bytes(file.read(min(length, 1 << 20)))
            return self._in_open(file)

    def _in_open(self, file: IO[bytes]) -> str:
        """Look through a file by how it begins; of archives, as spreadsheets are, through their members."""
        start = file.read(4)
        file.seek(0)
        try:
            if start == b"PAR1":
                return self._in_parquet(file)
            if start == b"PK\3\4":
                return self._in_archive(file)
            if start[:2] == b"\x1f\x8b":
                with gzip.open(file) as inner:
                    return self.in_bytes(inner.read())
        except (
            BadZipFile,
            EOFError,
            ValueError,
            OSError,
            zlib.error,
            RuntimeError,
        ):  # damaged, or closed by a password
            file.seek(0)
        return self.in_bytes(file.read())

    def _in_archive(self, file: IO[bytes]) -> str:
        with ZipFile(file) as packed:
            for member in packed.infolist():
                if found := self.in_bytes(member.filename.encode()):
                    return found
                with packed.open(member) as inner:
                    if self.reads(Path(member.filename)) and (found := self._in_open(inner)):
                        return found
        return ""

    def _in_parquet(self, file: IO[bytes]) -> str:
        import pyarrow as pa
        import pyarrow.parquet as pq

        with pq.ParquetFile(pa.PythonFile(file, "r")) as rows:
            schema, plain = rows.schema_arrow, (pa.types.is_primitive, pa.types.is_null)
            texts = [each.name for each in schema if not any(is_plain(each.type) for is_plain in plain)]
            for batch in rows.iter_batches(columns=texts) if texts else ():
                for name in texts:
                    cells = {each if isinstance(each, str) else str(each) for each in batch[name].to_pylist() if each}
                    if named := self.names & cells:
                        return min(named)
                    if found := self.in_bytes("\n".join(sorted(cells)).encode()):
                        return found
            return self.in_bytes(b"\n".join((schema.metadata or {}).values()))


def _spellings(name: str) -> set[bytes]:
    """Return how a name stands in texts, pages, addresses and JSON."""
    texts = {
        name,
        html.escape(name),
        html.escape(name, quote=False),
        quote(os.fsencode(name), safe="/"),
        quote(name, safe=""),
    }
    return {each.encode() for each in (*texts, json.dumps(name)[1:-1], json.dumps(name, ensure_ascii=False)[1:-1])}


def files_below(*roots: Path, but: Collection[Path] = ()) -> Iterator[Path]:
    """Yield the files in folders and below, or files that are named, in the order of their names; those `but` some folders."""
    for root in roots:
        if root.is_file():
            yield root
        for place, inside, files in os.walk(root):
            inside[:] = sorted(name for name in inside if Path(place) / name not in but)
            yield from (Path(place) / name for name in sorted(files))


def without_lines(text: bytes, traces: Iterable[Traces]) -> bytes:
    """Return a text without the lines that tell of clips."""
    known = tuple(traces)
    return b"".join(line for line in text.splitlines(keepends=True) if not any(each.in_bytes(line) for each in known))
