"""Labelled clips of any data set, as batches of what a classifier reads; no person is in two splits."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from vidfer.datamodules.base import BaseDataModule, digest_files
from vidfer.datamodules.features import EDGE, FeatureReader, Sample, collate_clips
from vidfer.datasets.clips import LabelledClip, find_clips
from vidfer.datasets.leaks import remove_leaks
from vidfer.datasets.report import PreparationReport
from vidfer.datasets.splits import leave_persons_out, published_splits, require_disjoint, take_people
from vidfer.datasets.vectors import VectorReader
from vidfer.models.batches import ClipBatch
from vidfer.models.classifiers.base import FRAME_FEATURES, SOUND_FEATURES
from vidfer.pipeline.store import default_store
from vidfer.types import EMOTIONS, ClipError, VidferError

Splits = dict[str, list[LabelledClip]]


class ClipDataModule(BaseDataModule):
    """Clips by person: named people, folds that leave people out, or the split that a data set publishes.

    What is read is what the classifier reads, by the stages that `vidfer analyze` runs, and kept on disk. Before every fit the
    splits are searched for people and for contents that occur in two of them.

    Args:
        data: `ravdess`, `crema_d`, `afew`, `folders` or `manifest`; or a folder or CSV file whose layout is recognised.
        root: Where it lies; `data/<name>` if not given.
        train_people: Who is trained on, such as `2-16`; with `val_people` and `test_people` empty too, the published split.
        val_people: Who is validated on; nobody to train on all there are, once everything is chosen.
        test_people: Who is tested on.
        folds: With 2 or more, the people are divided into so many groups, and `fold` says which one is tested on; of
            `train_people` where they are given, else of all.
        fold: Number of the fold that is tested on, from 0.
        win_dur: Length of a window of sound in seconds.
        hop_dur: Distance between windows in seconds.
        voice: Whether windows of sound count only where someone speaks.
        speeds: Playing speeds of the sound of the training clips; 1.0 is as recorded.
        image_model: Whose embeddings of faces are read: a name or a weights file.
        max_frames: Face images of a clip at the most.
        standardise: `global` leaves vectors as they are, and the network standardises them by the training clips' statistics;
            `speaker` standardises the sound of each person by the statistics of all clips of that person in the data set, which
            supposes that other recordings of the person who is tested are at hand.
        size: Number of labelled training clips, classes as even as can be; None for all.
        unlabelled: Whether the training clips beyond `size` are given without their labels, for classifiers that learn from them.
        batch_size: Labelled clips a step.
        seed: Which clips `size` draws, and which people are in which fold.
        store: Folder in which artifacts are kept; None for the default one, see `default_store`.
        reads: What is read of the clips; None for what the classifier that is trained reads.

    Attributes:
        source: What the data are, for the card.
        licence: Terms, for the card.
        samples: The clips read so far, by split.
        left_out: Names of the clips that could not be read, by split and reason.

    Raises:
        VidferError: A choice is senseless, or a person is in two splits.
    """

    licence = "Weights: for research, as the recordings from which they were learnt, and openSMILE, are."

    def __init__(
        self,
        data: str = "ravdess",
        root: str | None = None,
        train_people: str = "",
        val_people: str = "",
        test_people: str = "",
        folds: int = 0,
        fold: int = 0,
        win_dur: float = 2.0,
        hop_dur: float = 1.0,
        voice: bool = True,
        speeds: list[float] | None = None,
        image_model: str = "compact",
        max_frames: int = 16,
        standardise: str = "global",
        size: int | None = None,
        unlabelled: bool = False,
        batch_size: int = 32,
        seed: int = 0,
        store: str | None = None,
        reads: list[str] | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        if standardise not in ("global", "speaker"):
            raise VidferError(f"standardise '{standardise}' is none of global, speaker")
        if folds and not 0 <= fold < folds:
            raise VidferError(f"there are folds 0 to {folds - 1}, not {fold}")
        if min(size or 1, batch_size, max_frames) < 1 or size == 0 or seed < 0:
            raise VidferError("size, batch_size and max_frames have to be at least 1, and seed at least 0")
        if not (win_dur >= 0.1 and 0 < hop_dur <= win_dur) or not all(0.25 <= speed <= 4 for speed in speeds or []):
            raise VidferError(
                "win_dur has to be at least 0.1, hop_dur above 0 and at most win_dur, and speeds from 0.25 to 4"
            )
        self.options: dict[str, Any] = {
            "data": data, "root": root, "folds": folds, "fold": fold, "win_dur": win_dur, "hop_dur": hop_dur, "voice": voice,
            "speeds": speeds or [1.0], "image_model": image_model, "max_frames": max_frames, "standardise": standardise,
            "size": size, "unlabelled": unlabelled, "seed": seed, "store": store, "reads": reads,
        }  # fmt: skip
        self.people = {"train": train_people, "val": val_people, "test": test_people}
        self.batch_size = batch_size
        self.samples: dict[str, list[Sample]] = {}
        self.left_out: dict[str, dict[str, list[str]]] = {}
        self._splits: Splits | None = None

    @property
    def source(self) -> str:
        """What the data are, for the card."""
        return Path(str(self.options["data"])).name

    def setup(self, stage: str) -> None:
        """Read the splits that a stage needs, computing the features that are not on disk yet.

        Args:
            stage: `fit`, `validate`, `test` or `predict`.
        """
        if stage == "fit" and not self.splits()["train"]:
            raise VidferError(f"no clip of {self.source} is left to train on")
        needed = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",)}.get(stage, ())
        for split in needed:
            if split not in self.samples and (clips := self.splits()[split]):
                self.samples[split] = self.prepare_split(split, clips)

    def splits(self) -> Splits:
        """Divide the clips, once; the people and the contents of each split are in no other.

        Raises:
            VidferError: There is nothing to read, or a person is in two splits.
        """
        if self._splits is None:
            found, report = self.find()
            self.announce(report)
            divided = self._divide(found)
            require_disjoint(divided)
            self._splits, leaks = remove_leaks(divided)
            self.announce(leaks)
        return self._splits

    def find(self) -> tuple[list[LabelledClip], PreparationReport]:
        """Find the labelled clips."""
        root = self.options["root"]
        return find_clips(self.options["data"], None if root is None else Path(root))

    def _divide(self, found: list[LabelledClip]) -> Splits:
        people, folds = self.people, self.options["folds"]
        if folds:
            chosen = take_people(found, people["train"]) if people["train"] else found
            train, test = leave_persons_out(chosen, folds, self.options["seed"])[self.options["fold"]]
            return {"train": [chosen[i] for i in train], "val": [], "test": [chosen[i] for i in test]}
        if not any(people.values()):
            return published_splits(found)
        return {split: take_people(found, names) if names else [] for split, names in people.items()}

    def prepare_split(self, split: str, clips: Sequence[LabelledClip]) -> list[Sample]:
        """Read the features of a split's clips, and say which could not be read.

        Args:
            split: `train`, `val` or `test`.
            clips: Its clips.

        Returns:
            The samples, each with everything that the classifier reads, empty where a clip lacks it.

        Raises:
            VidferError: Nothing could be read.
        """
        samples, dropped, noted = self.read(split, clips)
        self.left_out[split] = dropped
        kept = len(clips) - _count(dropped)
        self.announce(PreparationReport(f"{self.source}, {split}", len(clips), kept, dropped, noted))
        if not samples:
            raise VidferError(f"no clip of {self.source} has what is to be read of it ({', '.join(self.reads)})")
        if self.options["standardise"] == "speaker":
            samples = standardise_speakers(samples)
        return _completed(samples, self.reads)

    def read(
        self, split: str, clips: Sequence[LabelledClip]
    ) -> tuple[list[Sample], dict[str, list[str]], dict[str, list[str]]]:
        """Read features; training sound at every speed.

        Returns:
            The samples; by reason the names of what could not be read; and of what lacks one of the modalities.
        """
        dropped: dict[str, dict[str, None]] = {}
        noted: dict[str, dict[str, None]] = {}
        samples = []
        for speed in self.options["speeds"] if split == "train" else [1.0]:
            reader = self.reader(speed)
            for clip in clips:
                try:
                    features, faults = reader(clip.path)
                except ClipError as error:
                    dropped.setdefault(f"{error.status}: {error.message}", {})[clip.name] = None
                    continue
                samples.append(Sample(clip.name, clip.person, clip.target, features))
                for fault in faults:
                    noted.setdefault(f"{fault.status}: {fault.message}", {})[clip.name] = None
        return samples, _listed(dropped), _listed(noted)

    def reader(self, speed: float = 1.0) -> FeatureReader:
        """Build the reader of features at a playing speed."""
        chosen = self.options
        store = chosen["store"] or str(default_store())
        sound = VectorReader(store, chosen["win_dur"], chosen["hop_dur"], speed, chosen["voice"])
        return FeatureReader(self.reads, sound, store, chosen["image_model"], chosen["max_frames"])

    @property
    def reads(self) -> tuple[str, ...]:
        """What is read of the clips."""
        if self.options["reads"] is not None:
            return tuple(self.options["reads"])
        if self.trainer is None:
            raise VidferError("a data module of clips reads what its classifier reads: use it with a trainer")
        task: Any = self.trainer.lightning_module
        return tuple(task.reads)

    def share(self, other: "ClipDataModule") -> None:
        """Take the clips that another module of the same data has read, instead of reading them again.

        Args:
            other: Of the same data, people and features; it may differ in `size`, `seed` and `unlabelled`.
        """
        self.samples, self._splits = dict(other.samples), other.splits()

    def training_clips(self) -> ClipBatch:
        """Return all training clips in one batch, those without label among them."""
        labelled, unlabelled = self._training()
        return collate_clips([*labelled, *unlabelled])

    def _training(self) -> tuple[list[Sample], list[Sample]]:
        samples, size = self.samples["train"], self.options["size"]
        if size is None:
            return samples, []
        names = list(dict.fromkeys(sample.name for sample in samples))  # a clip may stand there at several speeds
        target = {sample.name: sample.target for sample in samples}
        chosen = {names[at] for at in draw_evenly([target[name] for name in names], size, self.options["seed"])}
        labelled = [sample for sample in samples if sample.name in chosen]
        rest = [sample for sample in samples if sample.name not in chosen] if self.options["unlabelled"] else []
        return labelled, [Sample(each.name, each.person, -1, each.features) for each in rest]

    def class_shares(self) -> list[float]:
        """Return the share of each class in the labelled training clips, in the order of `EMOTIONS`."""
        target = torch.tensor([sample.target for sample in self._training()[0]])
        shares: list[float] = (torch.bincount(target, minlength=len(EMOTIONS)) / len(target)).tolist()
        return shares

    def card_entries(self) -> dict[str, Any]:
        """Return what a card says about the data and its preprocessing."""
        chosen = self.options
        preprocessing: dict[str, Any] = {}
        if "sound" in self.reads:
            preprocessing |= {"features": "openSMILE IS10 functionals", "sampling_rate": 16000}
            preprocessing |= {name: chosen[name] for name in ("win_dur", "hop_dur", "voice", "standardise")}
        if {"frames", "image"} & set(self.reads):
            preprocessing |= {"max_frames": chosen["max_frames"]}
        if "frames" in self.reads:
            from vidfer.weights.files import weights_digest

            preprocessing |= {"image_weights": weights_digest("image", chosen["image_model"])}
        labelled, unlabelled = self._training()
        people = {split: sorted({clip.person or "unknown" for clip in clips}) for split, clips in self.splits().items()}
        data = {"source": self.source, "people": people, "trained_on": len({sample.name for sample in labelled})}
        return {
            "preprocessing": preprocessing,
            "data": data | ({"unlabelled": len(unlabelled)} if unlabelled else {}),
            "licence": self.licence,
        }

    def _contents(self) -> Iterable[Any]:
        from vidfer.weights.files import weights_digest

        yield weights_digest("image", self.options["image_model"])
        for split, clips in self.splits().items():
            for clip in clips:
                ((_, digest),) = digest_files([clip.path], clip.path, self.options["store"])
                yield [split, clip.name, clip.person, clip.target, digest]

    def train_dataloader(self) -> DataLoader[Sample]:
        """Return shuffled full batches of the labelled training clips, each with as many unlabelled ones if there are any."""
        labelled, unlabelled = self._training()
        full = len(labelled) >= self.batch_size
        return DataLoader(
            _Listed(labelled), self.batch_size, shuffle=True, drop_last=full, collate_fn=_WithUnlabelled(unlabelled)
        )

    def val_dataloader(self) -> DataLoader[Sample] | list[DataLoader[Sample]]:
        """Return the validation clips in order, or nothing where nobody is held out."""
        return self._in_order("val") if "val" in self.samples else []

    def test_dataloader(self) -> DataLoader[Sample]:
        """Return the test clips in order.

        Raises:
            VidferError: Nobody is held out to test on.
        """
        if "test" not in self.samples:
            raise VidferError(f"no clip of {self.source} is held out to test on: name test_people, or folds")
        return self._in_order("test")

    def _in_order(self, split: str) -> DataLoader[Sample]:
        return DataLoader(_Listed(self.samples[split]), 256, collate_fn=collate_clips)


class _Listed(Dataset[Sample]):
    def __init__(self, samples: list[Sample]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]


class _WithUnlabelled:
    """Pads a batch, and adds as many clips without label, drawn anew each time."""

    def __init__(self, unlabelled: list[Sample]) -> None:
        self.unlabelled = unlabelled

    def __call__(self, samples: list[Sample]) -> ClipBatch:
        if not self.unlabelled:
            return collate_clips(samples)
        drawn = torch.randint(len(self.unlabelled), (len(samples),)).tolist()
        return collate_clips([*samples, *(self.unlabelled[at] for at in drawn)])


def draw_evenly(target: Sequence[int], size: int, seed: int) -> list[int]:
    """Draw indices at random, classes as even as their numbers allow.

    Args:
        target: Class of each clip.
        size: How many to draw.
        seed: Seed of the draw; a larger size with the same seed holds the smaller one.

    Returns:
        `size` indices, in the order drawn.

    Raises:
        VidferError: There are fewer.
    """
    if size > len(target):
        raise VidferError(f"{size} training clips are asked for, and there are {len(target)}")
    order = np.random.default_rng(seed).permutation(len(target))
    classes = np.asarray(target)[order]
    rank = np.zeros(len(order), int)
    for label in range(len(EMOTIONS)):
        rank[classes == label] = np.arange((classes == label).sum())
    chosen: list[int] = order[np.argsort(rank, kind="stable")[:size]].tolist()
    return chosen


def standardise_speakers(samples: Sequence[Sample]) -> list[Sample]:
    """Standardise sound by the mean and deviation of each person's windows; no label is looked at.

    Args:
        samples: Clips with `sound`.

    Raises:
        VidferError: Somebody is unknown.
    """
    if any(sample.person is None for sample in samples):
        raise VidferError("standardise=speaker needs to know who speaks: give a manifest with a person column")
    statistics = {}
    for person in {sample.person for sample in samples if "sound" in sample.features}:
        windows = torch.cat([s.features["sound"] for s in samples if s.person == person and "sound" in s.features])
        spread, mean = torch.std_mean(windows.double(), dim=0, correction=0)
        statistics[person] = mean, torch.where(spread > 1e-6 * mean.abs().clamp_min(1e-6), spread, 1.0)
    result = []
    for sample in samples:
        features = dict(sample.features)
        if "sound" in features:
            mean, spread = statistics[sample.person]
            features["sound"] = ((features["sound"] - mean) / spread).float()
        result.append(Sample(sample.name, sample.person, sample.target, features))
    return result


def _completed(samples: list[Sample], reads: tuple[str, ...]) -> list[Sample]:
    """Give every sample every entry, empty where it lacks one."""
    names = [*reads, *(["landmarks"] if "image" in reads else [])]
    empty = {}
    for name in names:
        like = next((sample.features[name] for sample in samples if name in sample.features), None)
        empty[name] = torch.zeros(0, *_SHAPES[name]) if like is None else like[:0]
    return [Sample(each.name, each.person, each.target, empty | each.features) for each in samples]


_SHAPES: Final = {"frames": (FRAME_FEATURES,), "sound": (SOUND_FEATURES,), "image": (EDGE, EDGE), "landmarks": (5, 2)}


def _listed(found: Mapping[str, Mapping[str, None]]) -> dict[str, list[str]]:
    return {reason: list(names) for reason, names in found.items()}


def _count(dropped: Mapping[str, list[str]]) -> int:
    return len({name for names in dropped.values() for name in names})
