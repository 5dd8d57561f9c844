"""What `vidfer analyze` has written, less what is of the run: when it was, how long it took, and digests of these."""

import io
import json
import re
from pathlib import Path

import pandas as pd

from tests.faults.command import tree

OF_THE_RUN = ["analyzed_at", "elapsed_s"]
_OF_BEFORE = [
    "seal",
    "people_changed",
]  # the latter is against what the folder held, such as of a clip whose process was killed
_WORDS = re.compile(
    rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d[^<\"]*|[0-9a-f]{64}|<bdi>[^<]*, without what the store had already</bdi>"
)


def results(folder: Path) -> dict[str, object]:
    """Contents of all files of a run, by their relative paths; the folder's name enters its index."""
    found: dict[str, object] = {}
    for name, content in tree(folder).items():
        file = Path(name).name
        if file == "clips.csv":
            found[name] = pd.read_csv(io.BytesIO(content), dtype=str).drop(columns=OF_THE_RUN).to_csv()
        elif file == "clips.parquet":
            found[name] = pd.read_parquet(io.BytesIO(content)).drop(columns=OF_THE_RUN).to_csv()
        elif file == "summary.json":
            summary = json.loads(content)
            digests = {path: value for path, value in summary["files"].items() if not path.startswith("clips.")}
            found[name] = {**summary, "files": digests} | dict.fromkeys([*OF_THE_RUN, *_OF_BEFORE])
        elif file.endswith(".html"):
            found[name] = _WORDS.sub(b"", content)
        else:
            found[name] = content
    return found


def difference(one: dict[str, object], other: dict[str, object]) -> dict[str, object]:
    """What differs between two results, or two such values, by name; of two objects only their entries that differ."""
    found: dict[str, object] = {}
    for name in one.keys() | other.keys():
        left, right = one.get(name), other.get(name)
        if isinstance(left, dict) and isinstance(right, dict):
            if inside := difference(left, right):
                found[name] = inside
        elif left != right:
            found[name] = (left, right)
    return found


def artifacts(store: Path) -> dict[str, tuple[int, int]]:
    """When each artifact of a store was written, and the number of its file: neither changes unless it is written anew."""
    found = {}
    for path in store.glob("*/??/*/manifest.json"):
        said = path.stat()
        found[str(path.parent.relative_to(store))] = (said.st_mtime_ns, said.st_ino)
    return found


def digests(store: Path) -> dict[str, bytes]:
    """The manifest of each artifact, in which the digests of its files stand."""
    return {str(path.relative_to(store)): path.read_bytes() for path in store.glob("*/??/*/manifest.json")}


def left_behind(*folders: Path) -> list[str]:
    """Drafts and temporary files below some folders."""
    return [
        str(path)
        for folder in folders
        for path in folder.rglob("*")
        if path.name.endswith((".tmp", ".claim")) or path.parent.name in ("tmp", "quarantine")
    ]
