"""Addresses of files from a page, which hold when the folder of both is moved."""

import os
from pathlib import Path
from urllib.parse import quote

from vidfer.pipeline.numbered import PICTURES
from vidfer.pipeline.paths import is_file


def address(file: Path, folder: Path) -> str:
    """Return the address of a file from a page in a folder: relative where there is a way, else absolute with `file:`.

    It is percent-encoded, and begins with `./`, `../` or `file:`, so that no name is taken for a scheme. Links in folders are
    not followed: a browser goes up from the folder that it was told.
    """
    try:
        way = os.path.relpath(file, folder)
    except ValueError:  # another drive
        return file.absolute().as_uri()
    parts = quote(os.fsencode(way if os.sep == "/" else way.replace(os.sep, "/")), safe="/")
    return parts if parts.startswith("../") else f"./{parts}"


def playable(source: Path | None) -> bool:
    """Tell whether a clip's source is a file that a player may open: there, and no picture."""
    return source is not None and is_file(source) and source.suffix.lower() not in PICTURES
