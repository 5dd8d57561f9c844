"""`vidfer download`: fetch public data sets from their publishers."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vidfer.datasets.div2k import ADDRESS
from vidfer.types import VidferError

if TYPE_CHECKING:
    from vidfer.weights.hub import Progress

ACTIONS = {"div2k": "vidfer.cli.download.div2k"}


@dataclass(frozen=True)
class Div2kOptions:
    """Fetch the 900 clean photographs of DIV2K, for academic research only.

    Args:
        out: Gets DIV2K_train_HR and DIV2K_valid_HR.
        part: What to fetch; all takes 4.0 GB.
        url: Folder that holds the archives, such as a mirror's.
        sha256: Checksum of the archive, if it is not the publisher's (one part).
    """

    out: Path = field(metadata={"metavar": "DIR"})
    part: Literal["train", "valid", "all"] = "all"
    url: str = field(default=ADDRESS, metadata={"metavar": "URL"})
    sha256: str | None = field(default=None, metadata={"metavar": "HEX"})

    def __post_init__(self) -> None:
        """Check the checksum.

        Raises:
            VidferError: It is none, or cannot be that of two archives.
        """
        if self.sha256 and not re.fullmatch(r"[0-9a-fA-F]{64}", self.sha256):
            raise VidferError(f"--sha256: '{self.sha256}' is no sha256: 64 hexadecimal digits")
        if self.sha256 and self.part == "all":
            raise VidferError("--sha256 is the checksum of one archive: name it by --part train or --part valid")


def div2k(options: Div2kOptions) -> int:
    """Fetch the parts that are not there."""
    from vidfer.datasets.div2k import PARTS, fetch_part

    sha256 = options.sha256 and options.sha256.lower()
    for name in PARTS if options.part == "all" else (options.part,):
        part = PARTS[name]
        with shown(f"{part.folder}.zip") as progress:
            new = fetch_part(options.out, name, options.url, sha256=sha256, progress=progress)
        print(f"{options.out / part.folder}: {len(part.names)} photographs{'' if new else ' are there already'}")
    return 0


@contextmanager
def shown(name: str) -> "Iterator[Progress]":
    """Show a download's progress on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    title = TextColumn("{task.description}", markup=False)
    with Progress(title, BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        bar = bars.add_task(name, total=None, visible=False)  # nothing may have to be fetched
        yield lambda done, total: bars.update(bar, completed=done, total=total, visible=True)
