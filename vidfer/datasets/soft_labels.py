"""Faces with distributions over the classes instead of labels: FER2013 with FER+ votes and teachers, and photographs.

A teacher's file names the image (`row` of `fer2013.csv`, counted from 1, or `image`, a file beside it) and has a column
`<network>_<class>` or `<network>_<crop>_<class>` for each network, crop and class: probabilities.

References:
    Barsoum, Zhang, Canton Ferrer, Zhang: Training deep networks for facial expression recognition with crowd-sourced
    label distribution. ICMI 2016 (FER+).
    Hinton, Vinyals, Dean: Distilling the knowledge in a neural network. 2015.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from vidfer.datasets.fer2013 import TEST_SPLITS, image_digest, split_digests
from vidfer.datasets.fer2013_csv import find_csv, read_rows, read_votes
from vidfer.datasets.report import PreparationReport
from vidfer.types import EMOTIONS, VidferError

if TYPE_CHECKING:
    import pandas as pd

TEACHER: Final = "teacher.csv"
"""The teachers' file beside `fer2013.csv`."""

WILD: Final = "wild.csv"
"""The teachers' file beside the photographs."""

MIN_VOTES: Final = 3
"""FER+ votes for the seven classes that a row needs to have a distribution of votes."""

_FLAT: Final = 2.0  # standard deviation of an image that shows nothing


@dataclass(frozen=True, eq=False)
class SoftFaces:
    """N faces with what is known of each; arrays have N rows."""

    image: npt.NDArray[np.uint8]  # (N, S, S)
    label: npt.NDArray[np.int64]  # (N,), indices into `EMOTIONS`; -1 where unknown
    votes: npt.NDArray[np.float32]  # (N, 7), shares of the votes; zeros where there are fewer than `MIN_VOTES`
    teacher: npt.NDArray[np.float32]  # (N, 7), the teachers' mixed distribution
    held_out: npt.NDArray[np.bool_]  # (N,), kept from training
    name: npt.NDArray[np.str_]  # (N,), `row <number>` or a file's name
    person: npt.NDArray[np.str_]  # (N,), empty where not known

    def subset(self, keep: npt.NDArray[np.bool_]) -> "SoftFaces":
        """Return the faces where `keep (N,)` is true."""
        return SoftFaces(*(getattr(self, each.name)[keep] for each in fields(self)))


def read_soft_fer2013(
    root: Path, teachers: Mapping[str, float], val_share: float
) -> tuple[SoftFaces, PreparationReport]:
    """Read FER2013's training rows with FER+ votes and teachers, whether or not they have a label.

    Dropped and reported: flat images, images that recur in `TEST_SPLITS`, and all but the first of equal images. Those held out
    are chosen by the SHA-256 of their pixels, so that they stay the same when rows are added.

    Args:
        root: Folder of `fer2013.csv`, `fer2013new.csv` and `teacher.csv`.
        teachers: Weight of each network in the mixture, by its name in `teacher.csv`.
        val_share: Share held out, in [0, 1).

    Raises:
        VidferError: A file is missing, cannot be read, or does not belong to the others.
    """
    import pandas as pd

    csv = find_csv(root)
    if csv is None:
        raise VidferError(
            f"soft labels go by the rows of fer2013.csv, and {root} has none: name the folder that holds it"
        )
    raw = read_rows(csv, "train")
    name = [*raw.name, *raw.unlabelled]
    image = np.stack([*raw.image, *raw.unlabelled.values()])
    row = np.array([int(each.removeprefix("row ")) for each in name])
    votes, soft = read_votes(csv.parent), _read_teachers(csv.with_name(TEACHER), "row", teachers)
    if row.max() > len(votes) or not np.isin(row, soft.index).all():
        raise VidferError(f"{csv}, fer2013new.csv and {TEACHER} do not belong together: rows are missing")
    counts = votes[row - 1]
    shares = np.where(counts.sum(1, keepdims=True) >= MIN_VOTES, counts / counts.sum(1, keepdims=True).clip(1), 0)
    digest = np.array([image_digest(each) for each in image])
    tests = [each for split in TEST_SPLITS for each in split_digests(root, split)]
    faults = {
        "flat image": image.std((1, 2)) < _FLAT,
        "recurs in a test split": np.isin(digest, tests),
        "copy of an earlier image": pd.Series(digest, row).sort_index().duplicated().loc[row].to_numpy(),
    }
    faces = SoftFaces(
        image=image,
        label=np.array([*raw.target, *[-1] * len(raw.unlabelled)], np.int64),
        votes=shares.astype(np.float32),
        teacher=soft.loc[row].to_numpy(np.float32),
        held_out=np.array([hash_share(each) < val_share for each in image]),
        name=np.array(name),
        person=np.full(len(row), ""),
    )
    lost = {reason: names for reason, names in raw.dropped.items() if reason != "no label"}
    return _without(faces, faults, f"{csv.parent.name}/train, FER+ votes and teachers", lost)


def read_wild(
    root: Path, teachers: Mapping[str, float], val_persons: int, size: int
) -> tuple[SoftFaces, PreparationReport]:
    """Read photographs of faces with the teachers' distributions, averaged over their crops.

    Args:
        root: Folder of the photographs and `wild.csv`, with columns `image` and `person`, a number.
        teachers: As for `read_soft_fer2013`.
        val_persons: One person in so many is held out: those whose number it divides; 0 for nobody.
        size: Edge in px to which images are resized by area.

    Raises:
        VidferError: The table is missing or cannot be read, or no image can.
    """
    import cv2
    import pandas as pd

    table = _table(root / WILD, "image")
    soft = _mixture(root / WILD, table, teachers)
    if "person" not in table or not pd.api.types.is_integer_dtype(table["person"]):
        raise VidferError(f"{root / WILD} has to number the person of each image, in the column person")
    image, unread = np.zeros((len(table), size, size), np.uint8), np.zeros(len(table), bool)
    for at, name in enumerate(table.index):
        path = root / str(name)  # pandas reads names such as 12 as numbers
        pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
        unread[at] = pixels is None or pixels.shape[0] != pixels.shape[1]
        if not unread[at]:
            image[at] = cv2.resize(np.asarray(pixels), (size, size), interpolation=cv2.INTER_AREA)
    person = table["person"].astype(str).to_numpy(np.str_)
    faces = SoftFaces(
        image=image,
        label=np.full(len(table), -1, np.int64),
        votes=np.zeros((len(table), len(EMOTIONS)), np.float32),
        teacher=soft,
        held_out=np.array([val_persons > 0 and int(each) % val_persons == 0 for each in person], bool),
        name=table.index.astype(str).to_numpy(np.str_),
        person=person,
    )
    return _without(faces, {"no square image": unread, "flat image": image.std((1, 2)) < _FLAT}, root.name, {})


def _read_teachers(path: Path, key: str, teachers: Mapping[str, float]) -> "pd.DataFrame":
    import pandas as pd

    table = _table(path, key)
    return pd.DataFrame(_mixture(path, table, teachers), table.index)


def _table(path: Path, key: str) -> "pd.DataFrame":
    import pandas as pd

    try:
        table = pd.read_csv(path)
    except FileNotFoundError:
        raise VidferError(f"there is no {path}: soft labels need the teachers' probabilities there") from None
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise VidferError(f"{path} cannot be read as a table: {error}") from error
    if key not in table or table[key].isna().any() or table[key].duplicated().any():
        raise VidferError(f"{path} has to name each image once, in the column {key}")
    return table.set_index(key)


def _mixture(path: Path, table: "pd.DataFrame", teachers: Mapping[str, float]) -> npt.NDArray[np.float32]:
    """Mix the networks by their weights, each the mean over its crops: float32 `(N, 7)`, rows that sum to 1."""
    import pandas as pd

    total = np.zeros((len(table), len(EMOTIONS)))
    for network, weight in teachers.items():
        crops = [name.removesuffix(f"_{EMOTIONS[0]}") for name in map(str, table) if name.startswith(f"{network}_")]
        crops = [crop for crop in crops if all(f"{crop}_{each}" in table for each in EMOTIONS)]
        if not crops:
            raise VidferError(f"{path} has no probabilities of the teacher '{network}'")
        columns = [table[[f"{crop}_{each}" for each in EMOTIONS]] for crop in crops]  # text becomes NaN
        parts = [each.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64) for each in columns]
        total += weight * np.mean(parts, 0)
    sums = total.sum(1, keepdims=True)
    if not np.isfinite(total).all() or (total < 0).any() or not (sums > 0).all():
        raise VidferError(f"{path} holds values that are no probabilities")
    return np.asarray(total / sums, np.float32)


def hash_share(pixels: npt.NDArray[np.uint8]) -> float:
    """Place an image in [0, 1) by its content."""
    digest = hashlib.sha256(pixels.tobytes()).digest()
    return int.from_bytes(digest[:2], "big") / 65536


def _without(
    faces: SoftFaces, faults: Mapping[str, npt.NDArray[np.bool_]], source: str, lost: Mapping[str, list[str]]
) -> tuple[SoftFaces, PreparationReport]:
    keep, dropped = np.ones(len(faces.name), bool), {**lost}
    for reason, faulty in faults.items():
        if (keep & faulty).any():
            dropped[reason] = faces.name[keep & faulty].tolist()
        keep &= ~faulty
    if not keep.any():
        raise VidferError(f"{source} holds no usable face")
    found = len(keep) + sum(map(len, lost.values()))
    return faces.subset(keep), PreparationReport(source, found, int(keep.sum()), dropped)
