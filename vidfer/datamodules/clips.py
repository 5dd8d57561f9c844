"""Labelled clips of any data set in batches, with no person in two splits."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader

from vidfer.datamodules.base import BaseDataModule, class_shares
from vidfer.datamodules.features import (
    AS_RECORDED,
    FeatureOptions,
    FeatureReader,
    ReadClips,
    Sample,
    Variant,
    collate_clips,
    complete,
    read_clips,
    standardise_speakers,
)
from vidfer.datamodules.prefetch import FeatureJob, jobs_of
from vidfer.datasets.contents import SAMPLE_SOUNDS, clip_contents
from vidfer.datasets.report import LabelledClip, PreparationReport
from vidfer.datasets.selection import Selection, Splits
from vidfer.datasets.splits import persons_known, unknown_persons
from vidfer.datasets.synthetic import write_sounds
from vidfer.models.batches import ClipBatch
from vidfer.types import EMOTIONS, VidferError
from vidfer.weights.files import embedding_width, weights_digest

_VERBS = {"train": "train", "val": "validate", "test": "test"}


class ClipDataModule(BaseDataModule):
    """Clips by person: named people, folds of subject-independent cross-validation, or the split that a data set publishes.

    Args:
        data: `ravdess`, `crema_d`, `nemo`, `ased`, `afew`, `folders` or `manifest`; or a folder or CSV file whose layout is
            recognised; or several of them, divided by commas, such as `ravdess,nemo,ased`.
        root: Where it lies; `data/<name>` if not given.
        train_people: Who is trained on, such as `2-16`, or `ravdess-2-16,nemo,ased`; with `val_people` and `test_people` empty
            too, the published split.
        val_people: Who is validated on; nobody to train on all there are, once everything is chosen.
        test_people: Who is tested on.
        folds: With 2 or more, the number of folds; of `train_people` where they are given, else of all.
        fold: Number of the fold that is tested on, from 0.
        val_share: Share of the persons trained on that are held out to validate on, where no other argument, nor a published
            split, says who is; classes as alike as persons allow, see `hold_persons_out`.
        test_share: The same of those to test on.
        size: Number of labelled training clips, classes as even as can be; None for all.
        unlabelled: Whether clips of a manifest without a label, and training clips beyond `size`, are given without label, for
            semi-supervised classifiers; never those of persons who are validated or tested on.
        batch_size: Labelled clips a step.
        seed: Which clips `size` draws, and which people are in which fold or share.
        features: The fields of `FeatureOptions`.
    """

    licence = "Weights: for research, as the recordings that they were trained on, and openSMILE, are."

    def __init__(
        self,
        data: str = "ravdess",
        root: str | None = None,
        train_people: str = "",
        val_people: str = "",
        test_people: str = "",
        folds: int = 0,
        fold: int = 0,
        val_share: float = 0.0,
        test_share: float = 0.0,
        size: int | None = None,
        unlabelled: bool = False,
        batch_size: int = 32,
        seed: int = 0,
        **features: Any,  # noqa: ANN401 - the dataclass knows their types
    ) -> None:
        super().__init__()
        self.features = FeatureOptions(**features)
        self.selection = Selection(
            data, root, train_people, val_people, test_people, folds, fold, val_share, test_share, unlabelled, seed
        )
        if min(size or 1, batch_size) < 1 or size == 0:
            raise VidferError("size and batch_size have to be at least 1")
        self.source = self.source or self.selection.name
        self.seed, self.size, self.unlabelled, self.batch_size = seed, size, unlabelled, batch_size
        self.samples: dict[str, list[Sample]] = {}  # the clips read so far, by split
        self.left_out: dict[str, dict[str, list[str]]] = {}  # names of unreadable clips, by split and reason
        self._splits: Splits | None = None
        self.save_hyperparameters(logger=False)
        self.save_hyperparameters(asdict(self.features), logger=False)

    def setup(self, stage: str) -> None:
        """Read the splits that a stage needs, computing the features that are not stored yet."""
        if stage == "fit" and not self.splits()["train"]:
            raise VidferError(f"no clip of {self.source} is left to train on")
        needed = {
            "fit": ("train", "val"),
            "validate": ("val",),
            "test": ("test",),
            "predict": (self.predict_split,),
        }.get(stage, ())
        for split in needed:
            if split not in self.samples and (clips := self.splits()[split]):
                if samples := self.prepare_split(split, clips):
                    self.samples[split] = samples
                    continue
                inputs = " or ".join(dict.fromkeys("sound" if name == "sound" else "faces" for name in self.reads))
                lacking = f"no clip of {self.source} to {_VERBS[split]} on has {inputs}"
                if split == "train":
                    raise VidferError(f"{lacking}: give clips that have, or leave this classifier out")
                if stage != "fit":
                    raise VidferError(lacking)
                self.notify(f"WARNING: {lacking}")

    def splits(self) -> Splits:
        """Divide the clips, once, so that no person and no content is in two splits."""
        if self._splits is None:
            self._splits = self.selection.splits(self.notify)
        return self._splits

    def prepare_split(self, split: str, clips: Sequence[LabelledClip]) -> list[Sample]:
        """Read what the classifier reads, empty where a clip lacks it, and report which clips could not be read: perhaps all."""
        samples, dropped, noted = self.read(split, clips)
        self.left_out[split] = dropped
        lost = {name for names in dropped.values() for name in names}
        self.announce(PreparationReport(f"{self.source}, {split}", len(clips), len(clips) - len(lost), dropped, noted))
        if not samples:
            return []
        if self.features.standardise == "speaker":
            samples = standardise_speakers(samples)
        return complete(samples, self.reads, embedding_width(self.features.image_model))

    def read(self, split: str, clips: Sequence[LabelledClip]) -> ReadClips:
        """Read features; the sound of training clips in every variant."""
        return read_clips(clips, [self.reader(variant) for variant in self.features.variants(split)])

    def reader(self, variant: Variant = AS_RECORDED) -> FeatureReader:
        """Build the reader of features, of the sound in a variant."""
        return FeatureReader(self.features, self.reads, variant)

    @property
    def reads(self) -> tuple[str, ...]:
        """The entries of a `ClipBatch` that are read."""
        if self.features.reads is not None:
            return tuple(self.features.reads)
        if self.trainer is None:
            raise VidferError("a data module of clips reads what its classifier reads: use it with a trainer")
        task: Any = self.trainer.lightning_module
        return tuple(task.reads)

    def feature_jobs(self) -> list[FeatureJob]:
        """List the features that all splits read, for `prefetch`."""
        return jobs_of(self.features, self.reader().reads, self.splits())

    def share(self, other: "ClipDataModule") -> None:
        """Take the clips that another module of the same data, people and features has read."""
        self.samples, self._splits = dict(other.samples), other.splits()

    def training_clips(self) -> ClipBatch:
        """Return all training clips in one batch, those without label among them."""
        labelled, unlabelled = self._training()
        return collate_clips([*labelled, *unlabelled])

    def _training(self) -> tuple[list[Sample], list[Sample]]:
        read = self.samples["train"]
        samples, bare = ([each for each in read if (each.target < 0) == without] for without in (False, True))
        if self.size is None:
            return samples, bare
        target = {sample.name: sample.target for sample in samples}  # a clip may stand there in several variants
        names = list(target)
        chosen = {names[at] for at in draw_evenly(list(target.values()), self.size, self.seed)}
        labelled = [sample for sample in samples if sample.name in chosen]
        rest = [replace(sample, target=-1) for sample in samples if sample.name not in chosen]
        return labelled, [*rest, *bare] if self.unlabelled else []

    def class_shares(self) -> list[float]:
        """Return the share of each class in the labelled training clips, in the order of `EMOTIONS`."""
        return class_shares([sample.target for sample in self._training()[0]])

    def card_entries(self) -> dict[str, Any]:
        """Return what a card says about the data and its preprocessing."""
        options, reads = self.features, set(self.reads)
        preprocessing: dict[str, Any] = {}
        if "sound" in reads:
            preprocessing |= {"features": "openSMILE IS10 functionals", "sampling_rate": 16000}
            preprocessing |= {
                name: getattr(options, name) for name in ("win_dur", "hop_dur", "voice", "loudness", "standardise")
            }
        if {"frames", "image"} & reads:
            preprocessing |= {"max_frames": options.max_frames, **options.denoising.card()}
        if "frames" in reads:
            preprocessing |= {"image_weights": weights_digest("image", options.image_model)}
        labelled, withheld = self._training()
        people = {split: sorted({clip.person or "unknown" for clip in clips}) for split, clips in self.splits().items()}
        data = {"source": self.source, "people": people, "trained_on": len({sample.name for sample in labelled})}
        data["persons"] = persons_known(self.splits())
        if unknown := unknown_persons(self.splits()):
            data["unknown_persons"] = unknown
        if withheld:
            data["unlabelled"] = len({sample.name for sample in withheld})
        return {"preprocessing": preprocessing, "data": data, "licence": self.licence}

    def _contents(self) -> Iterable[Any]:
        return clip_contents(self.splits(), self.features.store)

    def train_dataloader(self) -> DataLoader[Sample]:
        """Return shuffled full batches of the labelled training clips, each with as many unlabelled ones if there are any."""
        labelled, unlabelled = self._training()
        rank, processes = self._place()

        def collate(samples: list[Sample]) -> ClipBatch:
            drawn = torch.randint(len(unlabelled), (processes * len(samples),)).tolist() if unlabelled else []
            return collate_clips([*samples, *(unlabelled[at] for at in drawn[rank::processes])])

        return self.shuffled(labelled, self.batch_size, collate_fn=collate)

    def predict_dataloader(self) -> DataLoader[Sample]:
        """Return this process's clips of the chosen split, in order."""
        return self.own(self._predicted(), 256, collate_fn=collate_clips)

    def predicted(self) -> pd.DataFrame:
        """Return a row for each clip that is predicted, of all processes: `clip`, `corpus`, `person`, `label` and `split`."""
        rows = [(each.name, each.corpus, each.person, EMOTIONS[each.target]) for each in self._predicted()]
        return pd.DataFrame(rows, columns=["clip", "corpus", "person", "label"]).assign(split=self.predict_split)

    def _predicted(self) -> list[Sample]:
        if (split := self.predict_split) not in self.samples:
            raise VidferError(f"no clip of {self.source} is held out in {split}: name {split}_people, or folds")
        return self.samples[split]

    def _in_order(self, split: str) -> DataLoader[Sample] | list[DataLoader[Sample]]:
        if split == "test" and split not in self.samples:
            raise VidferError(f"no clip of {self.source} is held out to test on: name test_people, or folds")
        samples: Any = self.samples.get(split)  # a list is all that a loader needs
        return self.in_order(samples, 256, collate_fn=collate_clips) if samples else []


class SampleSoundsDataModule(ClipDataModule):
    """Synthesised voices of six speakers, made on first use in `root`; everything else as for RAVDESS."""

    licence = "Apache-2.0"
    source = "sample (synthesised voices: no people)"

    def prepare_data(self) -> None:
        """Synthesise the voices unless they are there."""
        root = write_sounds(Path(self.selection.root or SAMPLE_SOUNDS))
        self.selection = replace(self.selection, root=str(root))


def draw_evenly(target: Sequence[int], size: int, seed: int) -> list[int]:
    """Draw `size` indices of `target` at random, classes as even as their numbers allow; a larger size holds a smaller one.

    Raises:
        VidferError: There are fewer.
    """
    if size > len(target):
        raise VidferError(f"{size} training clips are asked for, and there are {len(target)}")
    order = np.random.default_rng(seed).permutation(len(target))
    classes = np.asarray(target)[order]
    rank = pd.Series(classes).groupby(classes).cumcount()
    chosen: list[int] = order[np.argsort(rank, kind="stable")[:size]].tolist()
    return chosen
