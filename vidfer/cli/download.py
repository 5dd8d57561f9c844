"""`vidfer download`: fetch public data sets from their publishers."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vidfer.cli.display import download_bar
from vidfer.cli.put import put
from vidfer.datasets.div2k import ADDRESS, PARTS, fetch_part
from vidfer.types import VidferError

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
        """Raise VidferError if the checksum is none, or would have to be that of two archives."""
        if self.sha256 and not re.fullmatch(r"[0-9a-fA-F]{64}", self.sha256):
            raise VidferError(f"--sha256: '{self.sha256}' is no sha256: 64 hexadecimal digits")
        if self.sha256 and self.part == "all":
            raise VidferError("--sha256 is the checksum of one archive: name it by --part train or --part valid")


def div2k(options: Div2kOptions) -> int:
    """Fetch the parts that are not there."""
    sha256 = options.sha256 and options.sha256.lower()
    for name in PARTS if options.part == "all" else (options.part,):
        part = PARTS[name]
        with download_bar(f"{part.folder}.zip") as progress:
            new = fetch_part(options.out, name, options.url, sha256=sha256, progress=progress)
        put(f"{options.out / part.folder}: {len(part.names)} photographs{'' if new else ' are there already'}")
    return 0
