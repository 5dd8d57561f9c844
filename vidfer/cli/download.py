"""`vidfer download`: fetch public data sets from their publishers."""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vidfer.types import UsageError, VidferError

if TYPE_CHECKING:
    from vidfer.weights.download import Progress, Wanted

_ADDRESS = "http://data.vision.ee.ethz.ch/cvl/DIV2K"


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the verb and what it fetches."""
    parser = verbs.add_parser("download", help="fetch a public data set")
    sets = parser.add_subparsers(required=True, metavar="SET")
    div2k = sets.add_parser("div2k", help="the 900 clean photographs of DIV2K, for academic research only")
    div2k.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets DIV2K_train_HR and DIV2K_valid_HR")
    div2k.add_argument(
        "--part", choices=("train", "valid", "all"), default="all", help="default: all (4.0 GB to fetch)"
    )
    div2k.add_argument(
        "--url",
        default=_ADDRESS,
        metavar="URL",
        help=f"folder that holds the archives, such as a mirror's ({_ADDRESS})",
    )
    div2k.add_argument(
        "--sha256",
        type=_checksum,
        metavar="HEX",
        help="checksum of the archive, if it is not the publisher's (one part)",
    )
    div2k.set_defaults(run=_div2k)


def _checksum(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise argparse.ArgumentTypeError(f"'{text}' is no sha256: 64 hexadecimal digits")
    return text.lower()


def _div2k(args: argparse.Namespace) -> int:
    if args.sha256 and args.part == "all":
        raise UsageError("--sha256 is the checksum of one archive: name it by --part train or --part valid")
    for name in ("train", "valid") if args.part == "all" else (args.part,):
        _fetch_part(args.out, name, args.url.rstrip("/"), args.sha256)
    return 0


def _fetch_part(out: Path, name: str, address: str, given: str | None) -> None:
    from vidfer.datasets.div2k import PARTS, list_part
    from vidfer.weights.download import Wanted, download, unpack

    part = PARTS[name]
    folder, record = out / part.folder, out / f"{part.folder}.json"
    if folder.exists():
        paths, report = list_part(out, name)
        if len(paths) == len(part.names):
            return print(f"{folder}: {len(paths)} photographs are there already")
        print("\n".join(report.lines()), file=sys.stderr)
        raise VidferError(f"{folder} is there, but not whole: move it away, then run the same command again")
    known = given or _recorded(record) or part.sha256
    size = part.size if known == part.sha256 else None
    wanted = Wanted(f"{address}/{part.folder}.zip", out / f"{part.folder}.zip", size, known)
    with shown(wanted) as progress:
        digest = download(wanted, room=part.size if size else 0, progress=progress, say=say)
    print(f"unpacking {wanted.target}", file=sys.stderr)
    unpack(wanted.target, folder, part.names)
    record.write_text(json.dumps({"url": wanted.url, "sha256": digest, "files": len(part.names)}, indent=2) + "\n")
    wanted.target.unlink()
    return print(f"{folder}: {len(part.names)} photographs")


def _recorded(record: Path) -> str | None:
    if not record.exists():
        return None
    try:
        return _checksum(json.loads(record.read_text())["sha256"])
    except (ValueError, KeyError, TypeError, argparse.ArgumentTypeError) as error:
        raise VidferError(f"{record} is damaged: delete it to fetch the archive without its checksum") from error


def say(message: str) -> None:
    """Write a line to the standard error stream."""
    print(message, file=sys.stderr, flush=True)


@contextmanager
def shown(wanted: "Wanted") -> "Iterator[Progress]":
    """Show progress on standard error: a bar on a terminal, a line every tenth elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(wanted.target.name)
        return
    name = TextColumn("{task.description}", markup=False)
    columns = (name, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        bar = bars.add_task(wanted.target.name, total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)


def _lines(name: str) -> "Progress":
    shown = -1

    def show(done: int, total: int | None) -> None:
        nonlocal shown
        tenth = 10 * done // total if total else done // 100_000_000
        if tenth != shown:
            shown = tenth
            whole = f" of {total / 1e6:.0f}" if total else ""
            say(f"{name}: {done / 1e6:.0f}{whole} MB")

    return show
