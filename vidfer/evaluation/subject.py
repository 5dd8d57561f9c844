"""An image model and the faces that it is measured on."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidfer.cli.options import require_device
from vidfer.types import UsageError, VidferError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from vidfer.datasets.fer2013 import LabelledImages
    from vidfer.datasets.fer2013_csv import Labels
    from vidfer.inference.models import ImageModel


@dataclass(frozen=True, eq=False)
class Subject:
    """What is measured, on which images.

    Args:
        model: The image model.
        data: The images.
        tta: Views to average over, see `vidfer.inference.models.TTA`.
        title: Model, data and anything special about them, for people.
        source: The data, for people.
    """

    model: "ImageModel"
    data: "LabelledImages"
    tta: str
    title: str
    source: str

    def logits(self, image: "npt.NDArray[np.uint8] | None" = None) -> "npt.NDArray[np.float32]":
        """Answer for the images, or for others of their size.

        Args:
            image: uint8 `(N, S, S)`.

        Returns:
            float32 `(N, 7)`.

        Raises:
            VidferError: An answer is no finite number.
        """
        import numpy as np

        logits = self.model.of_gray(self.data.image if image is None else image, tta=self.tta)[1]
        if not np.isfinite(logits).all():
            raise VidferError(f"{self.title}: the model answers numbers that are not finite; train it again")
        return logits


def find_subject(
    root: Path,
    split: str,
    model: str | Path,
    *,
    tta: str,
    labels: "Labels" = "fer2013",
    device: str = "cpu",
    limit: int | None = None,
) -> Subject:
    """Load an image model and read the images; what cannot be read is named on the standard error stream.

    Args:
        root: Folder that holds `<split>/<class>/*`, or FER2013's CSV file.
        split: Split to read.
        model: Shipped name or weights file.
        tta: Views to average over, see `vidfer.inference.models.TTA`.
        labels: Whose labels, see `vidfer.datasets.fer2013.read_images`.
        device: Where to compute.
        limit: How many images to keep, of every class alike, chosen by content; None for all.

    Raises:
        UsageError: torch cannot compute on the device.
        VidferError: There is nothing to read, a class is unknown, or there are no such weights.
    """
    import numpy as np

    from vidfer.datasets.fer2013 import read_images, stratified_rank
    from vidfer.inference.models import ImageModel

    require_device(device)
    loaded = ImageModel(model, device=device)
    data = read_images(root, split, labels=labels)
    for line in data.report.lines():
        print(line, file=sys.stderr)
    source, found = data.report.source, len(data.name)
    if limit is not None and limit < found:
        keep = np.zeros(found, bool)
        keep[np.argsort(stratified_rank(data.target, data.digest), kind="stable")[:limit]] = True
        data = data.subset(keep, data.report)
        source += f" ({limit} of its {found} images only: --limit)"
    return Subject(loaded, data, tta, f"{model} on {source}, --tta {tta}", source)


def require_own_card(model: str) -> None:
    """Refuse to write into the card of weights that were pulled: it would no longer be what the registry describes.

    Args:
        model: Name or weights file.

    Raises:
        UsageError: The weights were pulled.
        VidferError: There are no such weights.
    """
    from vidfer.weights.files import find_weights, weights_folder

    path = find_weights("image", model).path
    if path.parent.resolve() == weights_folder().resolve():
        raise UsageError(
            f"{path} was pulled and keeps its card: copy it and its card to another folder, and name that file"
        )


def write_card(model: str, digest: str, entries: dict[str, Any], kind: str = "image") -> None:
    """Keep what was measured in the card of the weights it belongs to; their digest, and so every key, stays the same.

    Args:
        model: Shipped name or weights file.
        digest: Digest of the weights that were measured, see `weights_digest`.
        entries: New entries of the card; `metrics` take the place of those on the same data only.
        kind: `image` or `audio`.

    Raises:
        VidferError: The weights were changed meanwhile, or the card cannot be written.
    """
    from vidfer.pipeline.atomic import write_atomic
    from vidfer.weights.files import SHIPPED, find_weights, weights_digest

    if weights_digest(kind, model) != digest:
        raise VidferError(f"the {kind} weights {model} were changed while they were measured: run the command again")
    weights = find_weights(kind, model)
    place = weights.path.with_suffix(".json")
    card = {**weights.card, **entries}
    if "metrics" in entries:
        before = weights.card.get("metrics")
        kept = [each for each in before if isinstance(each, dict) and "on" in each] if isinstance(before, list) else []
        measured = {each["on"]: each for each in [*kept, *entries["metrics"]]}
        card["metrics"] = list(measured.values())
    try:
        write_atomic(place, json.dumps(card, indent=2) + "\n")
    except OSError as error:
        raise VidferError(f"the card {place} cannot be written: {error.strerror}") from error
    note = ", the card of vidfer's own weights" if model in SHIPPED[kind] else ""
    print(f"written to {place}{note}", file=sys.stderr)
