"""What the store keeps of a clip beside its tables: face images and embeddings."""

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidfer.media.align import CROP
from vidfer.pipeline.store import Artifact, Store, default_store
from vidfer.stages.faces import SHARD
from vidfer.types import UsageError, VidferError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from vidfer.api.result import ClipResult


class Crops(NamedTuple):
    """Aligned face images: `images` `(N, 160, 160, 3)` uint8 RGB, `time_s` `(N,)` float64, `person_id` `(N,)` of text.

    Example:
        >>> from vidfer import analyze
        >>> analyze("missing.mp4").crops().time_s
        array([], dtype=float64)
    """

    images: NDArray[np.uint8]
    time_s: NDArray[np.float64]
    person_id: NDArray[np.object_]


def read_crops(result: "ClipResult", person_id: str | None) -> Crops:
    """Read face images of a clip; only files that hold some of them are opened."""
    rows, time_s, person = _faces(result, person_id)
    images = [np.zeros((0, CROP, CROP, 3), np.uint8)]
    for number in np.unique(rows // SHARD).tolist():
        faces = _artifact(result, "faces")
        if faces.lacks:
            remedy = "analyse it with keep_faces=True"
            raise VidferError(f"no face images of {result.clip_id} were kept: {remedy} (no --no-keep-faces)")
        shard = faces.arrays(f"crops-{number:05}.safetensors")["crops"]
        images.append(shard[rows[rows // SHARD == number] % SHARD])
    return Crops(np.concatenate(images), time_s, person)


def read_embeddings(result: "ClipResult", person_id: str | None) -> "pd.DataFrame":
    """Read embeddings of a clip's face images."""
    import pandas as pd

    rows, time_s, person = _faces(result, person_id)
    vectors = np.zeros((0, 0), np.float32)
    if len(rows):
        vectors = _artifact(result, "finetune").arrays("embeddings.safetensors")["embeddings"][rows]
    index = pd.MultiIndex.from_arrays([pd.array(person, "string"), time_s], names=["person_id", "time_s"])
    return pd.DataFrame(vectors, index=index)


FACES: Final = 2000
"""Face images of which a figure shows the embeddings."""


def read_vectors(results: "Iterable[ClipResult]", total: int) -> "tuple[NDArray[np.float32], list[str]]":
    """Read the embeddings of the face images of clips, `total` together: of more than `FACES` every so many-th.

    Returns:
        Embeddings `(N, D)`, and the expression of each image, one of the seven or `uncertain`.

    Raises:
        VidferError: No face was read, the clips were read by different image models, or the store does not have the embeddings
            any more.
    """
    step, first = -(-total // FACES), 0
    parts: list[NDArray[np.float32]] = []
    expressions: list[str] = []
    networks: dict[str, str] = {}
    for result in results:
        read = result.frames[result.frames["x0"].notna()].drop_duplicates(["person_id", "time_s"])
        if read.empty:
            continue
        networks.setdefault(result.summary["models"]["image"]["digest"], result.clip_id)
        if len(networks) > 1:
            both = " and ".join(networks.values())
            raise VidferError(
                f"{both} were read by different image models, whose embeddings cannot be compared: --clip"
            )
        vectors = read_embeddings(result, None).iloc[first::step]
        first = (first - len(read)) % step
        parts.append(vectors.to_numpy(np.float32))
        expressions += read.set_index(["person_id", "time_s"])["expression"].loc[vectors.index].tolist()
    if not parts:
        raise VidferError("there are no embeddings: no face was read")
    return np.concatenate(parts), expressions


def _faces(
    result: "ClipResult", person_id: str | None
) -> "tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.object_]]":
    """Return rows of `faces.parquet` `(N,)`, ascending, and their times and persons, by the places of faces in `frames`."""
    read = result.frames.loc[result.frames["x0"].notna(), ["frame", "x0", "y0", "person_id"]]
    if person_id is not None and person_id not in set(result.people["person_id"]):
        known = ", ".join(result.people["person_id"]) or "nobody"
        raise UsageError(f"{result.clip_id} has no person '{person_id}': there is {known}")
    if read.empty:
        return np.zeros(0, np.intp), np.zeros(0), np.zeros(0, object)
    persons = {(frame, x0, y0): person for frame, x0, y0, person in read.itertuples(index=False)}
    table = _artifact(result, "faces").table("faces.parquet")
    places = zip(table["frame"].tolist(), table["x0"].tolist(), table["y0"].tolist(), strict=True)
    who = np.array([persons.get(place) for place in places], object)
    rows = np.flatnonzero(who != None if person_id is None else who == person_id)  # noqa: E711 - elementwise
    return rows, table["time_s"][rows], who[rows]


def _artifact(result: "ClipResult", stage: str) -> Artifact:
    store = Store(result.store or default_store())
    found = store.find(stage, result.summary["provenance"]["stages"][stage]["key"])
    if found is None:
        remedy = "analyse it again (`vidfer cache gc` may have removed them)"
        raise VidferError(f"the store {store.place} does not have the faces of {result.clip_id}: {remedy}")
    return found
