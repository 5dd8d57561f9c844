"""DIV2K by its own folders: `DIV2K_train_HR/0001.png` to `0800.png` and `DIV2K_valid_HR/0801.png` to `0900.png`.

References:
    Agustsson, Timofte: NTIRE 2017 challenge on single image super-resolution: dataset and study. CVPR workshops 2017.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vidfer.datasets.photos import LOW_RESOLUTION, Photos, read_files
from vidfer.datasets.report import PreparationReport
from vidfer.types import VidferError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"


@dataclass(frozen=True)
class Part:
    """One of the two parts with clean photographs.

    The publisher gives no checksums. Sizes and sums are those recorded by TensorFlow Datasets.

    Args:
        folder: Name of its folder, and of its archive before `.zip`.
        first: Number of its first photograph.
        last: Number of its last one.
        size: Size of its archive in bytes.
        sha256: Checksum of its archive.
    """

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
        "DIV2K_train_HR",
        1,
        800,
        3_530_603_713,
        "9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335",
    ),
    "valid": Part(
        "DIV2K_valid_HR",
        801,
        900,
        448_993_893,
        "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc",
    ),
}
"""The parts by the names that `vidfer download div2k --part` takes."""


def is_div2k(root: Path) -> bool:
    """Tell whether a folder is laid out as DIV2K, whole or not.

    Args:
        root: The folder; it may be missing.

    Returns:
        Whether a folder `DIV2K_*` lies in it. A folder of photographs from DIV2K, such as `DIV2K_valid_HR` itself, is none.
    """
    return root.is_dir() and any(path.name.startswith("DIV2K_") and path.is_dir() for path in root.iterdir())


def list_part(root: Path, name: str) -> tuple[list[Path], PreparationReport]:
    """List the photographs of one part without decoding them.

    Args:
        root: Folder that holds the parts' folders.
        name: `train` or `valid`.

    Returns:
        Paths in order of their numbers, and a report: numbers that are missing are noted, what is damaged (no PNG, or
        broken off), reduced in size by its name, or foreign to the part is dropped.

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
    """Find the photographs to train and to validate on.

    Args:
        root: Folder that holds `DIV2K_train_HR` and `DIV2K_valid_HR`; folders of reduced images beside them are not read.

    Returns:
        Paths of the training and of the validation photographs, and a report over both, see `list_part`.

    Raises:
        VidferError: One of the two folders is missing.
    """
    train, train_report = list_part(root, "train")
    valid, valid_report = list_part(root, "valid")
    return train, valid, _merge("DIV2K", train_report, valid_report)


def read_div2k(root: Path, *, smallest: int = 64) -> tuple[Photos, Photos, PreparationReport]:
    """Read the photographs to train and to validate on, see `read_files` for where they are kept.

    Args:
        root: Folder that holds `DIV2K_train_HR` and `DIV2K_valid_HR`.
        smallest: Smallest edge in px that is of use.

    Returns:
        Photographs of the two parts by name, and a report over both.

    Raises:
        VidferError: A folder is missing or holds nothing of use, or there is no place for decoded copies.
    """
    train_paths, valid_paths, found = find_div2k(root)
    train, train_report = read_files(train_paths, root / PARTS["train"].folder, smallest=smallest)
    valid, valid_report = read_files(valid_paths, root / PARTS["valid"].folder, smallest=smallest)
    read = _merge("DIV2K", train_report, valid_report)
    merged = _merge("DIV2K", found, read)
    return train, valid, PreparationReport("DIV2K", found.found, read.kept, merged.dropped, merged.noted)


def _merge(source: str, first: PreparationReport, second: PreparationReport) -> PreparationReport:
    dropped, noted = (
        {reason: one.get(reason, []) + other.get(reason, []) for reason in {**one, **other}}
        for one, other in ((first.dropped, second.dropped), (first.noted, second.noted))
    )
    return PreparationReport(source, first.found + second.found, first.kept + second.kept, dropped, noted)


def _is_whole(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(len(_SIGNATURE))
            file.seek(-len(_END), 2)
            return head == _SIGNATURE and file.read() == _END
    except OSError:
        return False
