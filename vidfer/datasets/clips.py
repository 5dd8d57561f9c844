"""Labelled clips of any data set, by its name or by the layout of a folder."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from vidfer.datasets.afew import find_afew, is_afew
from vidfer.datasets.crema_d import find_crema_d, is_crema_d
from vidfer.datasets.manifest import find_folders, find_manifest, is_folders
from vidfer.datasets.ravdess import find_ravdess, is_ravdess
from vidfer.datasets.report import LabelledClip, PreparationReport
from vidfer.datasets.speech import find_ased, find_nemo, is_ased, is_nemo
from vidfer.types import VidferError

_FINDERS: Final[dict[str, Callable[..., tuple[list[LabelledClip], PreparationReport]]]] = {
    "ravdess": find_ravdess,
    "crema_d": find_crema_d,
    "nemo": find_nemo,
    "ased": find_ased,
    "afew": find_afew,
    "folders": find_folders,
    "manifest": find_manifest,
}

DATASETS: Final = tuple(_FINDERS)
"""The data sets of clips, by the names that `--data` takes."""

_CHOICES: Final = {"ravdess": ("channel", "modality"), "crema_d": ("modality",)}

_RECOGNISED: Final = {
    "afew": is_afew,
    "ravdess": is_ravdess,
    "crema_d": is_crema_d,
    "nemo": is_nemo,
    "ased": is_ased,
    "folders": is_folders,
}

_ROOTS: Final = {
    "ravdess": ("data/ravdess", "data/ravdess_speech"),
    "nemo": ("data/nemo", "data/speech_corpora/nemo"),
    "ased": ("data/ased", "data/speech_corpora/ased"),
    "manifest": ("data/manifest.csv", "data/manifest"),
}

_LAYOUTS: Final = (
    "RAVDESS (03-01-05-01-02-01-12.wav), CREMA-D (1001_DFA_ANG_XX.wav), nEMO (EB0_anger_16.wav), ASED (a5-03-01-01-01.wav), "
    "AFEW (Train_AFEW/Angry/*.avi, Val_AFEW), "
    "a folder per class (happy/*.mp4, or train/happy/*.mp4), or a CSV file with the columns path and label"
)


UNLABELLED: Final = "no label: only semi-supervised training reads it"
"""Why a clip of a manifest is left out."""


def find_clips(
    data: str, root: Path | None = None, *, unlabelled: bool = False, **choices: str
) -> tuple[list[LabelledClip], PreparationReport]:
    """Find the labelled clips of a data set in its order, with a report of what was found, dropped and noted.

    A folder is recognised in this order: a `.csv` file, or a folder with `manifest.csv`, is a manifest; a folder with
    `Train_AFEW` or `Val_AFEW` is AFEW; a folder whose clips are mostly named as in RAVDESS, CREMA-D, nEMO or ASED is that; a
    folder whose subfolders are named as classes is one of classes.

    Args:
        data: One of `DATASETS`, or a folder or CSV file; or several, divided by commas, see `split_names`.
        root: Where it lies; `data/<name>` if not given, of `ravdess` also `data/ravdess_speech`, of `nemo` and `ased` also
            `data/speech_corpora/<name>`, of `manifest` `data/manifest.csv`. Neither with a folder in `data` nor with several.
        unlabelled: Whether clips without a label, which a manifest may name, are among them; else the report drops them.
        choices: Of `ravdess`: `channel` (speech, song, both) and `modality` (sound, faces, audio-visual, video-only,
            audio-only); of `crema_d`: `modality` (any, sound, video).

    Raises:
        VidferError: There is no such data set, its layout is not recognised, a label is unknown, or nothing labelled is usable.
    """
    if len(parts := split_names(data)) > 1:
        return _find_several(parts, root, unlabelled=unlabelled)
    name, where = recognise(data, root)
    known = _CHOICES.get(name, ())
    if wrong := sorted(set(choices) - set(known)):
        raise VidferError(f"of {name} there is no choice of {', '.join(wrong)}, but of {', '.join(known) or 'nothing'}")
    clips, report = _FINDERS[name](where, **choices)
    own = where.parent if where.name == "manifest.csv" else where
    clips = [replace(clip, corpus=own.stem if name in ("folders", "manifest") else name) for clip in clips]
    labelled = [clip for clip in clips if clip.label is not None]
    if len(labelled) == len(clips):
        return clips, report
    if not labelled:
        raise VidferError(f"{where}: no usable clip has a label: write some into its column label")
    bare = {UNLABELLED if not unlabelled else "no label": [clip.name for clip in clips if clip.label is None]}
    if unlabelled:
        return clips, replace(report, noted={**report.noted, **bare})
    return labelled, replace(report, kept=len(labelled), dropped={**report.dropped, **bare})


def split_names(data: str) -> list[str]:
    """Divide `ravdess,nemo` into the names and paths of data sets; what exists under the whole name is one.

    Raises:
        VidferError: One is empty, or there twice.
    """
    parts = [data] if Path(data).exists() else [part.strip() for part in data.split(",")]
    if "" in parts or len(set(parts)) < len(parts):
        raise VidferError(f"data sets '{data}': name each once, divided by commas, such as ravdess,nemo")
    return parts


def _find_several(
    parts: list[str], root: Path | None, *, unlabelled: bool
) -> tuple[list[LabelledClip], PreparationReport]:
    """Find the clips of several data sets, their names made unique; persons of folders are called by the folder, too."""
    if root is not None:
        raise VidferError(f"root {root} cannot be that of several data sets: give their folders instead of their names")
    found: list[LabelledClip] = []
    corpora: list[str] = []
    merged = PreparationReport("", 0, 0)
    for part in parts:
        clips, report = find_clips(part, unlabelled=unlabelled)
        merged, corpus = merged.merge(report, ", ".join(filter(None, [merged.source, report.source]))), clips[0].corpus
        if corpus in corpora:
            raise VidferError(
                f"two of the data sets '{','.join(parts)}' are called {corpus}: name each once, or rename a folder"
            )
        corpora.append(corpus)
        if recognise(part)[0] == "folders":
            clips = [replace(each, person=each.person and f"{corpus}-{each.person}") for each in clips]
        found += clips
    names = Counter(clip.name for clip in found)
    return [replace(c, shown=f"{c.corpus}/{c.name}") if names[c.name] > 1 else c for c in found], merged


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
