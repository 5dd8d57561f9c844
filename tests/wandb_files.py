"""Reads what the client of Weights & Biases would send: the files of a run that stayed on this machine."""

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK = 32768
LAST = (1, 4)  # kinds of a chunk that ends a record: a whole one, or the last of several


def records(run: Path, patience: float = 20.0) -> list[Any]:
    """Read the records of one offline run that has ended; the client's service may write them up to so many seconds later."""
    last = time.monotonic() + patience
    while True:
        found = list(_records(run))
        if time.monotonic() > last or any(each.WhichOneof("record_type") == "exit" for each in found):
            return found
        time.sleep(0.1)


def _records(run: Path) -> Iterator[Any]:
    """Read what is written: LevelDB's log format after a header of seven bytes."""
    from wandb.proto import wandb_internal_pb2

    (path,) = run.glob("run-*.wandb")
    data, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        left = BLOCK - at % BLOCK
        _, size, kind = struct.unpack("<IHB", data[at : at + 7])
        if left < 7 or not kind:
            at += left
            continue
        if at + 7 + size > len(data):  # not all of it is written
            return
        whole += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in LAST:
            record = wandb_internal_pb2.Record()
            record.ParseFromString(whole)
            whole = b""
            yield record


def _values(items: Any) -> dict[str, Any]:
    return {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


def history(run: Path) -> dict[str, Any]:
    """The last value of everything that was logged."""
    return {name: value for each in records(run) for name, value in _values(each.history.item).items()}


def config(run: Path) -> dict[str, Any]:
    """The run's settings."""
    found: dict[str, Any] = {}
    for each in records(run):
        found |= _values(each.run.config.update) | _values(each.config.update)
    return found


def files(run: Path) -> set[str]:
    """Names of the files that go along."""
    there = {path.relative_to(run / "files").as_posix() for path in (run / "files").rglob("*") if path.is_file()}
    return there | {file.path for each in records(run) for file in each.files.files}


def summary(run: Path) -> dict[str, Any]:
    """The figures that stand for the run."""
    return {name: value for each in records(run) for name, value in _values(each.summary.update).items()}


def sent_text(run: Path) -> str:
    """Everything that would be sent as text, but where a file that is sent lies for now."""
    texts = []
    for record in records(run):
        if record.WhichOneof("record_type") == "artifact":
            for content in record.artifact.manifest.contents:
                content.local_path = ""
        texts.append(str(record))
    kept = (path for path in (run / "files").rglob("*") if path.is_file() and path.suffix != ".png")
    return "".join([*texts, *(path.read_text() for path in kept)])
