"""Labelled clips of any data set, by its name or by the layout of a folder."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from vidfer.datasets.afew import find_afew, is_afew
from vidfer.datasets.crema_d import find_crema_d, is_crema_d
from vidfer.datasets.manifest import find_folders, find_manifest, is_folders
from vidfer.datasets.ravdess import find_ravdess, is_ravdess
from vidfer.datasets.report import LabelledClip, PreparationReport
from vidfer.types import VidferError

_FINDERS: Final[dict[str, Callable[..., tuple[list[LabelledClip], PreparationReport]]]] = {
    "ravdess": find_ravdess,
    "crema_d": find_crema_d,
    "afew": find_afew,
    "folders": find_folders,
    "manifest": find_manifest,
}

DATASETS: Final = tuple(_FINDERS)
"""The data sets of clips, by the names that `--data` takes."""

_CHOICES: Final = {"ravdess": ("channel", "modality"), "crema_d": ("modality",)}

_RECOGNISED: Final = {"afew": is_afew, "ravdess": is_ravdess, "crema_d": is_crema_d, "folders": is_folders}

_ROOTS: Final = {"ravdess": ("data/ravdess", "data/ravdess_speech"), "manifest": ("data/manifest.csv", "data/manifest")}

_LAYOUTS: Final = (
    "RAVDESS (03-01-05-01-02-01-12.wav), CREMA-D (1001_DFA_ANG_XX.wav), AFEW (Train_AFEW/Angry/*.avi, Val_AFEW), "
    "a folder per class (happy/*.mp4, or train/happy/*.mp4), or a CSV file with the columns path and label"
)


UNLABELLED: Final = "no label: only semi-supervised training reads it"
"""Why a clip of a manifest is left out."""


def find_clips(
    data: str, root: Path | None = None, *, unlabelled: bool = False, **choices: str
) -> tuple[list[LabelledClip], PreparationReport]:
    """Find the labelled clips of a data set in its order, with a report of what was found, dropped and noted.

    A folder is recognised in this order: a `.csv` file, or a folder with `manifest.csv`, is a manifest; a folder with
    `Train_AFEW` or `Val_AFEW` is AFEW; a folder whose clips are mostly named as in RAVDESS or CREMA-D is that; a folder whose
    subfolders are named as classes is one of classes.

    Args:
        data: One of `DATASETS`, or a folder or CSV file.
        root: Where it lies; `data/<name>` if not given, of `ravdess` also `data/ravdess_speech`, of `manifest`
            `data/manifest.csv`. Not with a folder in `data`.
        unlabelled: Whether clips without a label, which a manifest may name, are among them; else the report drops them.
        choices: Of `ravdess`: `channel` (speech, song, both) and `modality` (sound, faces, audio-visual, video-only,
            audio-only); of `crema_d`: `modality` (any, sound, video).

    Raises:
        VidferError: There is no such data set, its layout is not recognised, a label is unknown, or nothing labelled is usable.
    """
    name, where = recognise(data, root)
    known = _CHOICES.get(name, ())
    if wrong := sorted(set(choices) - set(known)):
        raise VidferError(f"of {name} there is no choice of {', '.join(wrong)}, but of {', '.join(known) or 'nothing'}")
    clips, report = _FINDERS[name](where, **choices)
    labelled = [clip for clip in clips if clip.label is not None]
    if len(labelled) == len(clips):
        return clips, report
    if not labelled:
        raise VidferError(f"{where}: no usable clip has a label: write some into its column label")
    bare = {UNLABELLED if not unlabelled else "no label": [clip.name for clip in clips if clip.label is None]}
    if unlabelled:
        return clips, replace(report, noted={**report.noted, **bare})
    return labelled, replace(report, kept=len(labelled), dropped={**report.dropped, **bare})


def recognise(data: str, root: Path | None = None) -> tuple[str, Path]:
    """Find out which of `DATASETS` is meant, see `find_clips`, and its folder or file.

    Raises:
        VidferError: There is no such data set, or its layout is not recognised.
    """
    if data in _FINDERS:
        candidates = [Path(each) for each in _ROOTS.get(data, (f"data/{data}",))]
        return data, root or next((path for path in candidates if path.exists()), candidates[0])
    where = Path(data)
    if not where.exists():
        raise VidferError(f"'{data}' is neither a data set ({', '.join(DATASETS)}) nor a folder or CSV file")
    if root is not None:
        raise VidferError(
            f"'{data}' says where the data lie, and so does root {root}: name the data set, or leave root out"
        )
    if where.is_file() and where.suffix.lower() == ".csv":
        return "manifest", where
    if (where / "manifest.csv").is_file():
        return "manifest", where / "manifest.csv"
    for name, recognised in _RECOGNISED.items():
        if where.is_dir() and recognised(where):
            return name, where
    raise VidferError(f"the layout of {where} is not known: expected {_LAYOUTS}")
