"""Data modules of clips by a data set's name."""

import inspect
from pathlib import Path
from typing import Any, Final

from vidfer.datamodules.clips import ClipDataModule
from vidfer.datamodules.paired import PairedDataModule, SamplePairedDataModule
from vidfer.datasets.clips import recognise
from vidfer.types import UsageError

PEOPLE: Final = {
    "ravdess": {"train_people": "2-16", "test_people": "17-20"},  # actor 1 is kept for tests of video
    "crema_d": {"train_people": "1001-1072", "test_people": "1073-1091"},
}
"""Who is trained on and tested on where a data set publishes no split."""


def build_clip_data(data: str, root: str | None = None, **options: Any) -> ClipDataModule:  # noqa: ANN401 - a module's own
    """Build the data module of a data set.

    Args:
        data: `paired` for voices of RAVDESS with faces of FER2013; `sample` for synthesised voices with drawn faces; or what
            `ClipDataModule` takes.
        root: Where it lies; of `paired`, where RAVDESS speech lies.
        options: Further arguments of the data module.

    Returns:
        The module, with the people of `PEOPLE`, or by the split that the data set publishes.

    Raises:
        UsageError: An option is not the module's.
        VidferError: There is no such data set.
    """
    if data in ("paired", "sample"):
        kind: type[PairedDataModule] = PairedDataModule if data == "paired" else SamplePairedDataModule
        if unknown := sorted(set(options) - set(inspect.signature(kind).parameters)):
            raise UsageError(f"{data} clips take no {', '.join(unknown)}")
        return kind(root=root, **options) if root is not None else kind(**options)
    name, where = recognise(data, None if root is None else Path(root))
    return ClipDataModule(data=name, root=str(where), **{**PEOPLE.get(name, {}), **options})
