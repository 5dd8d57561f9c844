"""DIV2K: fetched, and read from its folders `DIV2K_train_HR` (`0001.png` to `0800.png`) and `DIV2K_valid_HR` (to `0900.png`).

References:
    Agustsson, Timofte: NTIRE 2017 challenge on single image super-resolution: dataset and study. CVPR workshops 2017.
"""

import json
import shutil
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from vidfer.datasets.photos import LOW_RESOLUTION, Photos, read_files
from vidfer.datasets.report import PreparationReport
from vidfer.limits import MAX_UNPACKED
from vidfer.pipeline.atomic import write_atomic
from vidfer.types import VidferError
from vidfer.weights.hub import Progress, fetch

ADDRESS: Final = "http://data.vision.ee.ethz.ch/cvl/DIV2K"
"""The publisher's folder of archives."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"  # of a PNG file that is whole


@dataclass(frozen=True)
class Part:
    """One of the two parts with clean photographs; size in bytes and checksum of its archive as in TensorFlow Datasets."""

    folder: str
    first: int
    last: int
    size: int
    sha256: str

    @property
    def names(self) -> list[str]:
        """The names of its files, in order."""
        return [f"{number:04d}.png" for number in range(self.first, self.last + 1)]


PARTS: Final = {
    "train": Part(
        "DIV2K_train_HR", 1, 800, 3_530_603_713, "9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335"
    ),
    "valid": Part(
        "DIV2K_valid_HR", 801, 900, 448_993_893, "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc"
    ),
}
"""The parts by the names that `vidfer download div2k --part` takes."""


def is_div2k(root: Path) -> bool:
    """Tell whether a folder holds a folder `DIV2K_*`; one of photographs, such as `DIV2K_valid_HR` itself, does not."""
    return root.is_dir() and any(path.name.startswith("DIV2K_") and path.is_dir() for path in root.iterdir())


def list_part(root: Path, name: str) -> tuple[list[Path], PreparationReport]:
    """List the photographs of a part (`train` or `valid`) in the folder of both, in order, without decoding them.

    In the report, numbers that are missing are noted; what is damaged (no PNG, or broken off), reduced in size by its name,
    or foreign to the part is dropped.

    Raises:
        VidferError: The part's folder is missing.
    """
    part = PARTS[name]
    folder = root / part.folder
    if not folder.is_dir():
        raise VidferError(f"{folder} is missing: fetch it by `vidfer download div2k --out {root} --part {name}`")
    expected = set(part.names)
    paths = []
    dropped: dict[str, list[str]] = defaultdict(list)
    found = sorted(folder.iterdir())
    for path in found:
        if LOW_RESOLUTION.fullmatch(path.name):
            dropped["reduced in size, by its name"].append(path.name)
        elif path.name not in expected or path.is_dir():
            dropped["none of the part's files"].append(path.name)
        elif not _is_whole(path):
            dropped["damaged"].append(path.name)
        else:
            paths.append(path)
    missing = sorted(expected - {path.name for path in found})
    noted = {"missing": missing} if missing else {}
    return paths, PreparationReport(part.folder, len(found), len(paths), dict(dropped), noted)


def find_div2k(root: Path) -> tuple[list[Path], list[Path], PreparationReport]:
    """List the photographs of `DIV2K_train_HR` and `DIV2K_valid_HR`, with a report over both, see `list_part`."""
    train, train_report = list_part(root, "train")
    valid, valid_report = list_part(root, "valid")
    return train, valid, train_report.merge(valid_report, "DIV2K")


def read_div2k(root: Path, *, smallest: int = 64) -> tuple[Photos, Photos, PreparationReport]:
    """Read the photographs of `DIV2K_train_HR` and `DIV2K_valid_HR` as `read_files` does, with a report over both."""
    train_paths, valid_paths, found = find_div2k(root)
    train, train_report = read_files(train_paths, root / PARTS["train"].folder, smallest=smallest)
    valid, valid_report = read_files(valid_paths, root / PARTS["valid"].folder, smallest=smallest)
    read = train_report.merge(valid_report, "DIV2K")
    return train, valid, replace(found.merge(read, "DIV2K"), found=found.found, kept=read.kept)


def fetch_part(
    root: Path, name: str, address: str = ADDRESS, *, sha256: str | None = None, progress: Progress = lambda *_: None
) -> bool:
    """Fetch and unpack a part (`train` or `valid`) unless it is there, and return whether it was fetched.

    The part's folder in `root` is there whole or not at all; `address` is the folder of archives. Where the part came from is
    written beside it, with the archive's checksum: that one counts later, or else the publisher's, if `sha256` is not given.

    Raises:
        VidferError: The folder is there, but not whole; or the archive cannot be fetched, or is not the one expected.
    """
    part = PARTS[name]
    folder, record, archive = root / part.folder, root / f"{part.folder}.json", root / f"{part.folder}.zip"
    if folder.exists():
        if len(list_part(root, name)[0]) == len(part.names):
            return False
        raise VidferError(f"{folder} is there, but not whole: move it away, then run the same command again")
    sha256 = sha256 or _recorded(record) or part.sha256
    size = part.size if sha256 == part.sha256 else None
    _require_space(root, archive, size)
    url = f"{address.rstrip('/')}/{archive.name}"
    fetch(url, archive, sha256=sha256, size=size, progress=progress)
    unpack(archive, folder, part.names)
    try:
        write_atomic(record, json.dumps({"url": url, "sha256": sha256, "files": len(part.names)}, indent=2) + "\n")
        archive.unlink()
    except OSError as error:
        raise VidferError(f"{record} cannot be written: {error.strerror}") from error
    return True


def _recorded(record: Path) -> str | None:
    try:
        sha256 = json.loads(record.read_text())["sha256"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VidferError(f"{record} is damaged: delete it to fetch the archive without its checksum") from error
    return str(sha256)


def _require_space(root: Path, archive: Path, size: int | None) -> None:
    """Refuse to begin where the archive and its content do not fit beside each other."""
    have = sum(path.stat().st_size for path in (archive, archive.with_name(f"{archive.name}.part")) if path.exists())
    free = shutil.disk_usage(next(path for path in (root, *root.absolute().parents) if path.exists())).free
    if free < (needed := 2 * (size or 0) - have):
        raise VidferError(f"{root} has {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB are needed: make room first")


def unpack(archive: Path, folder: Path, names: Collection[str]) -> None:
    """Unpack a zip archive of the files `names`, in a folder named like `folder`, to `folder`: wholly or not at all.

    Raises:
        VidferError: The archive is damaged or holds other files, the disk is full, or the folder exists.
    """
    draft = folder.with_name(f".{folder.name}.unpacking")
    wanted = {f"{folder.name}/{name}" for name in names}
    try:
        with zipfile.ZipFile(archive) as package:
            found = {member.filename for member in package.infolist() if not member.is_dir()}
            if other := sorted(found ^ wanted):
                shown = ", ".join(other[:3]) + (", ..." if len(other) > 3 else "")
                raise VidferError(
                    f"{archive} is not the archive expected: it lacks, or has besides, {len(other)} files ({shown})"
                )
            if sum(member.file_size for member in package.infolist()) > MAX_UNPACKED * archive.stat().st_size:
                raise VidferError(
                    f"{archive} is not the archive expected: its files have over {MAX_UNPACKED} times its size"
                )
            shutil.rmtree(draft, ignore_errors=True)
            package.extractall(draft, sorted(wanted))
        (draft / folder.name).rename(folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise VidferError(f"{archive} is damaged ({error}): delete it and fetch it again") from error
    except OSError as error:
        raise VidferError(f"{archive} could not be unpacked to {folder}: {error.strerror}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _is_whole(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        head = file.read(len(_SIGNATURE))
        file.seek(-len(_END), 2)
        return head == _SIGNATURE and file.read() == _END
    return False
