"""What classifiers of clips read of a person's faces: chosen and prepared here for training and for analysis alike."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from vidfer.media.align import CENTRAL, CROP, TEMPLATE, similarity
from vidfer.pipeline.store import Artifact
from vidfer.stages.denoise import Images, read_denoised
from vidfer.stages.faces import LANDMARKS, SHARD

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Rows = npt.NDArray[np.intp]

EDGE: Final = 48
"""Edge in px of the face images that classifiers of pixels read."""


def seen_most(track: npt.NDArray[np.integer]) -> int:
    """Return who is seen most, by the person ids (N,) of all face images, N >= 1; of equals the lowest id."""
    people, counts = np.unique(track, return_counts=True)
    return int(people[counts.argmax()])


def spread(track: npt.NDArray[np.integer], person: int, most: int | None) -> Rows:
    """Choose rows of a person by the person ids (N,), evenly spread over time; `most` of them, or None for all."""
    rows = np.flatnonzero(track == person)
    places = np.unique(np.linspace(0, len(rows) - 1, min(most or len(rows), len(rows))).round().astype(int))
    return np.asarray(rows[places])


def read_faces(faces: Artifact, denoise: Artifact, rows: Rows) -> tuple[Images, npt.NDArray[np.float32]]:
    """Read face images of a clip, denoised where they were: gray uint8 (n, 48, 48), and their landmarks, see `landmarks`.

    From the artifacts of stages `faces` and `denoise`; `rows` (n,), n >= 0, are numbers of face images, ascending.
    """
    gray = [np.zeros((0, EDGE, EDGE), np.uint8)]
    for number, shard in enumerate(faces.names("crops-")):
        wanted = rows[(rows >= number * SHARD) & (rows < (number + 1) * SHARD)] - number * SHARD
        if len(wanted):
            crops = faces.arrays(shard)["crops"]
            places, clean = read_denoised((denoise, faces), shard)
            crops[places] = clean
            gray.append(gray_faces(crops[wanted]))
    return np.concatenate(gray), landmarks(faces.table("faces.parquet"), rows)


def best_faces(table: "Mapping[str, npt.NDArray[Any]]", most: int = 1) -> Rows:
    """Choose rows of the table of face images, the `most` best of each person by quality, ascending; no expression is preferred.

    Of images of equal weight the sharper one is better, then the larger, then the one that faces the camera more, then the
    earlier one.
    """
    turned = np.abs(table["yaw"]) + np.abs(table["pitch"])
    order = np.lexsort((table["time_s"], turned, -table["size"], table["blur"], -table["weight"]))
    track = table["track"][order]
    return np.sort(np.concatenate([order[track == person][:most] for person in np.unique(track)]))


def read_crops(faces: Artifact, rows: Rows) -> "Iterator[Images]":
    """Read crops as they came from the frames, uint8 (n, 160, 160, 3), file by file; `rows` (n,) are ascending."""
    for number, shard in enumerate(faces.names("crops-")):
        wanted = rows[(rows >= number * SHARD) & (rows < (number + 1) * SHARD)] - number * SHARD
        if len(wanted):
            yield faces.rows(shard, "crops", wanted)


def gray_faces(crops: Images) -> Images:
    """Make of aligned crops, uint8 (N, 160, 160, 3), gray faces as FER2013 has, uint8 (N, 48, 48)."""
    import torch

    from vidfer.models.preprocess import Preprocessing, resize

    gray = Preprocessing(image_size=EDGE, crop_share=CENTRAL / CROP).gray(torch.from_numpy(crops))
    return np.asarray((resize(gray, EDGE)[:, 0] * 255).round().to(torch.uint8).numpy())


def landmarks(table: "dict[str, npt.NDArray[Any]]", rows: Rows) -> npt.NDArray[np.float32]:
    """Bring landmarks from the frame to where the aligned face has them, as shares of its edge: x and y, (n, 5, 2)."""
    template = np.array(TEMPLATE)
    points = np.stack([np.stack([table[f"{name}_{axis}"][rows] for axis in "xy"], 1) for name in LANDMARKS], 1)
    matrices = np.array([similarity(each, template) for each in points.astype(np.float64)]).reshape(-1, 2, 3)
    return np.asarray(points @ matrices[:, :, :2].transpose(0, 2, 1) + matrices[:, None, :, 2], np.float32)
