"""Face images of labelled clips, alone or beside FER2013's, in batches."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from vidfer.datamodules.features import FeatureOptions, FeatureReader
from vidfer.datamodules.fer2013 import Fer2013DataModule
from vidfer.datamodules.prefetch import FeatureJob
from vidfer.datasets.contents import clip_contents, image_contents
from vidfer.datasets.fer2013 import LabelledImages, image_digest, stratified_rank
from vidfer.datasets.report import LabelledClip, PreparationReport
from vidfer.datasets.selection import Selection, Splits
from vidfer.datasets.splits import hold_persons_out, persons_known
from vidfer.stages.clip_faces import EDGE
from vidfer.stages.denoise import DenoiseMode
from vidfer.types import ClipError, VidferError

VAL_SHARE: Final = 0.1
"""Share of the persons trained on whose faces are validated on where nobody else is."""


class ClipFacesDataModule(Fer2013DataModule):
    """Face images of labelled clips, as gray images like FER2013's: found, aligned and denoised by the chain of `vidfer analyze`.

    People are divided as `ClipDataModule` divides them by the same arguments, so that nobody who is tested on later has been
    seen. Each image has its clip's class. `val` are the faces of validation people, or, where there are none, those of a tenth of
    the people trained on, with FER2013's held-out images; `test` are the faces of test people alone.

    Args:
        data: As of `ClipDataModule`: a data set's name, or a folder or CSV file.
        clips_root: Where the data set lies; `data/<name>` if not given.
        train_people: As of `ClipDataModule`, like all arguments down to `seed`.
        val_people: Who is validated on.
        test_people: Who is tested on.
        folds: Number of folds.
        fold: Number of the fold that is tested on.
        val_share: Share of the persons trained on that is validated on.
        test_share: Share of the persons that is tested on.
        seed: Decides folds and shares.
        per_clip: Face images of a clip at the most, evenly spread over the person who is seen most. Training clips of a class
            that has more clips than the mean one give fewer, so that classes are more alike.
        root: FER2013 to train on as well, see `Fer2013DataModule`; None for the clips alone.
        fer_images: Training images of FER2013 at the most, classes as they are there; None for all.
        fer_val_share: Share of FER2013's training images that is held out for validation.
        denoise_model: Name or file of the weights that faces, and FER2013's images, are denoised by; None for none.
        denoise: `auto` denoises what is noisier than the threshold, `on` all, `off` nothing.
        denoise_threshold: Noise above which `auto` denoises, as sigma on the scale 0-255.
        store: Folder in which artifacts are kept; None for the default store.
        images: The other arguments of `Fer2013DataModule`.
    """

    licence = "Weights: for research, as the recordings, and FER2013, are."

    def __init__(
        self,
        data: str = "manifest",
        clips_root: str | None = None,
        train_people: str = "",
        val_people: str = "",
        test_people: str = "",
        folds: int = 0,
        fold: int = 0,
        val_share: float = 0.0,
        test_share: float = 0.0,
        seed: int = 0,
        per_clip: int = 8,
        root: str | None = None,
        fer_images: int | None = None,
        fer_val_share: float = 0.05,
        denoise_model: str | None = "small",
        denoise: DenoiseMode = "auto",
        denoise_threshold: float = 10.0,
        store: str | None = None,
        **images: Any,  # noqa: ANN401 - the base class knows their types
    ) -> None:
        super().__init__(
            root=root or "", val_share=fer_val_share, denoise_model=denoise_model, denoise=denoise,
            denoise_threshold=denoise_threshold, store=store, **images,
        )  # fmt: skip
        if per_clip < 1 or (fer_images is not None and fer_images < 1):
            raise VidferError("per_clip and fer_images have to be at least 1")
        self.selection = Selection(
            data, clips_root, train_people, val_people, test_people, folds, fold, val_share, test_share, seed=seed
        )
        self.per_clip, self.mixed, self.fer_images = per_clip, root is not None, fer_images
        self.source = f"faces of {self.selection.name}" + (f" and {self.source}" if self.mixed else "")
        self.options = FeatureOptions(
            denoise_model=denoise_model, denoise=denoise, denoise_threshold=denoise_threshold, store=store
        )
        self.of_clips: dict[str, LabelledImages] = {}  # read so far, by split
        self._splits: Splits | None = None

    def splits(self) -> Splits:
        """Divide the clips, once, so that no person and no content is in two splits, and somebody is validated on if possible."""
        if self._splits is None:
            found = self.selection.splits(self.notify)
            if not found["val"]:
                try:
                    found |= hold_persons_out(found["train"], {"val": VAL_SHARE}, self.selection.seed)
                except VidferError as error:
                    self.notify(f"no clip is validated on: {error}")
            self._splits = found
        return self._splits

    def _train_val(self) -> tuple[LabelledImages, LabelledImages]:
        clips = [self._faces(split) for split in ("train", "val")]
        if not len(clips[0].target):
            raise VidferError(f"{self.source}: no face is found in the clips to train on")
        if not self.mixed:
            return clips[0], clips[1]
        train, val = super()._train_val()
        return _join(clips[0], train), _join(clips[1], val)

    def _read_train_val(self) -> tuple[LabelledImages, LabelledImages]:
        train, val = super()._read_train_val()
        if self.fer_images is None or self.fer_images >= len(train.target):
            return train, val
        share = self.fer_images / len(train.target)
        return _fewer(train, self.fer_images), _fewer(val, round(share * len(val.target)))

    def _test(self) -> LabelledImages:
        if not self.splits()["test"]:
            raise VidferError(f"no clip of {self.source} is held out to test on: name test_people, test_share or folds")
        return self._faces("test")

    def _faces(self, split: str) -> LabelledImages:
        """Read the face images of a split's clips, or find them in the store."""
        if split in self.of_clips:
            return self.of_clips[split]
        clips = self.splits()[split]
        numbers = images_per_clip(clips, self.per_clip) if split == "train" else [self.per_clip] * len(clips)
        image, dropped = [np.zeros((0, EDGE, EDGE), np.uint8)], defaultdict[str, list[str]](list)
        kept: list[tuple[LabelledClip, str]] = []
        for clip, number in zip(clips, numbers, strict=True):
            try:
                found, _ = FeatureReader(replace(self.options, max_frames=number), ["image"])(clip.path)
            except ClipError as error:
                dropped[f"{error.status}: {error.message}"].append(clip.name)
                continue
            image.append(found["image"].numpy())
            kept += [(clip, f"{clip.name} {at}") for at in range(len(image[-1]))]
        left = len(clips) - sum(map(len, dropped.values()))
        source = f"{self.selection.name}, faces of {left} {split} clips"
        report = PreparationReport(source, len(clips), left, dict(dropped))
        if split == "val" and clips:  # `setup` announces the others
            self.announce(report)
        pixels = np.concatenate(image)
        self.of_clips[split] = LabelledImages(
            pixels,
            np.array([clip.target for clip, _ in kept], np.int64),
            [name for _, name in kept],
            [image_digest(each) for each in pixels],
            report,
            [clip.person for clip, _ in kept],
        )
        return self.of_clips[split]

    def feature_jobs(self) -> list[FeatureJob]:
        """List the faces that all splits read, for `prefetch`."""
        return [FeatureJob(clip.path, self.options, ("image",)) for clips in self.splits().values() for clip in clips]

    def card_entries(self) -> dict[str, Any]:
        """Return what a card says about the data and its preprocessing."""
        entries = super().card_entries()
        clips = self.splits()
        people = {split: sorted({clip.person or "unknown" for clip in found}) for split, found in clips.items()}
        sources = {split: {"clips": len(self.of_clips[split].target)} for split in ("train", "val")}
        for split, counts in sources.items():
            if self.mixed:
                counts["FER2013"] = len(self.data[split]) - counts["clips"]
        del entries["data"]["found"]  # clips and images are counted apart
        entries["data"] |= {
            "people": people,
            "persons": persons_known(clips),
            "clips": {split: len(found) for split, found in clips.items()},
            "images": sources,
        }
        return entries

    def _contents(self) -> Iterable[Any]:
        yield from clip_contents(self.selection.splits(), self.store)
        if self.mixed:
            yield from image_contents(**self.hparams)


def images_per_clip(clips: Sequence[LabelledClip], most: int) -> list[int]:
    """Say how many images to take of each clip: of a class with more clips than the mean, as many in all as of the mean class.

    At least one of a clip, and `most` of those of the other classes.
    """
    counts = Counter(clip.target for clip in clips)
    return [max(1, min(most, round(most * len(clips) / len(counts) / counts[clip.target]))) for clip in clips]


def _fewer(images: LabelledImages, count: int) -> LabelledImages:
    """Keep so many images, of each class the same share, chosen by content."""
    keep = np.zeros(len(images.target), bool)
    keep[np.argsort(stratified_rank(images.target, images.digest), kind="stable")[:count]] = True
    return images.subset(keep, images.report)


def _join(one: LabelledImages, other: LabelledImages) -> LabelledImages:
    both = (one, other)
    return LabelledImages(
        np.concatenate([each.image for each in both]),
        np.concatenate([each.target for each in both]),
        [*one.name, *other.name],
        [*one.digest, *other.digest],
        one.report.merge(other.report, f"{one.report.source}, and {other.report.source}"),
        [person for each in both for person in (each.person or [None] * len(each.name))],
    )
