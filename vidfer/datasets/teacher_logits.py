"""A model's logits for the images of a data set, kept for another model to learn from."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidfer.types import EMOTIONS, VidferError


def save_logits(path: Path, digest: list[str], logits: npt.NDArray[np.float32]) -> None:
    """Write logits float32 `(N, 7)` with the N digests of their images, hexadecimal, to a `.safetensors` path.

    Raises:
        VidferError: The path cannot be written.
    """
    from safetensors.numpy import save

    from vidfer.pipeline.atomic import write_atomic

    if path.suffix != ".safetensors":
        raise VidferError(f"logits are written as .safetensors, not to {path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, save({"digest": _bytes(digest), "logits": np.ascontiguousarray(logits, np.float32)}))
    except OSError as error:
        raise VidferError(f"{path} cannot be written: {error.strerror}") from error


def read_logits(path: Path, digest: list[str]) -> npt.NDArray[np.float32]:
    """Read the logits float32 `(N, 7)` of the images with N digests, in their order, from a file of `save_logits`.

    Raises:
        VidferError: There is no such file, it holds something else, or it lacks an image.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        found = load(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise VidferError(f"no logits can be read from {path}: {error}") from error
    logits, stored = found.get("logits"), found.get("digest")
    if logits is None or stored is None or logits.shape != (len(stored), len(EMOTIONS)):
        raise VidferError(f"{path} holds no logits: `vidfer evaluate image --save-logits` writes such a file")
    rows = {row.tobytes(): number for number, row in enumerate(stored)}
    wanted = [rows.get(row.tobytes()) for row in _bytes(digest)]
    missing = wanted.count(None)
    if missing:
        raise VidferError(f"{path} lacks the logits of {missing} of the {len(digest)} training images")
    return np.asarray(logits[np.array(wanted, dtype=np.int64)], np.float32)


def _bytes(digest: list[str]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex("".join(digest)), np.uint8).reshape(len(digest), -1).copy()
