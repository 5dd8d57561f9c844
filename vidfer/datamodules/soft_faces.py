"""Faces with distributions over the classes in batches, for a network with a head for each labelling convention."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot
from torch.utils.data import DataLoader, Dataset

from vidfer.datamodules.fer2013 import Fer2013DataModule, whole_batch
from vidfer.datasets.contents import soft_contents
from vidfer.datasets.fer2013 import LabelledImages, read_train_val
from vidfer.datasets.report import PreparationReport
from vidfer.datasets.soft_labels import SoftFaces, hash_share, read_soft_fer2013, read_wild
from vidfer.models import shares
from vidfer.models.batches import SoftBatch
from vidfer.models.preprocess import Statistics
from vidfer.types import EMOTIONS, VidferError

CONVENTIONS = ("video", "fer2013", "ferplus")
"""Labelling conventions: the teachers' distributions; FER2013's labels; the distribution of the FER+ votes."""


class SoftFacesDataModule(Fer2013DataModule):
    """FER2013's training rows with labels, FER+ votes and teachers' distributions, and photographs with the teachers' alone.

    The network is validated on FER2013 rows held out by content and on photographs of persons held out, and tested on
    `test_split` with the majority of the FER+ votes.

    Args:
        root: Folder of `fer2013.csv`, `fer2013new.csv` and `teacher.csv`.
        wild_root: Folder of the photographs and `wild.csv`; None for FER2013 alone.
        test_split: Split to test on.
        image_size: Edge in px of what the network reads.
        in_chans: As of `Fer2013DataModule`, like those below that are not explained.
        batch_size: Images a step.
        val_share: Share of FER2013's rows held out.
        val_persons: One in so many persons of the photographs is held out, see `read_wild`.
        wild_size: Edge in px that the photographs are kept at.
        wild_repeat: How often a photograph is seen in an epoch.
        teachers: Weight of each teacher in the mixture, by its name in the tables.
        vote_share: Share of the FER+ votes in the target of the convention `video`, where a row has some, in [0, 1].
        balance: Exponent in [0, 1] of the class weights of `video`: a class weighs its share of the targets to the power of
            minus this.
        resolution: Pairs of first epoch and edge in px, to train on smaller images at first.
        augmentation: Strength of augmentation.
        degrade: Probability of each of the faults of video.
        statistics: Where an image's own mean and deviation are taken.
        store: Folder of the store; None for the default one.
    """

    source = "FER2013 with FER+ votes, photographs of faces, and soft labels of two teachers"
    licence = "For research only, as FER2013, the photographs of faces and the AffectNet of the teachers are."

    def __init__(
        self,
        root: str = "data/fer2013",
        wild_root: str | None = "data/faces_wild",
        test_split: str = "public_test",
        image_size: int = 64,
        in_chans: int = 1,
        batch_size: int = 128,
        val_share: float = 0.05,
        val_persons: int = 10,
        wild_size: int = 112,
        wild_repeat: int = 1,
        teachers: dict[str, float] | None = None,
        vote_share: float = 0.3,
        balance: float = 0.6,
        resolution: list[list[int]] | None = None,
        augmentation: float = 1.0,
        degrade: float = 0.3,
        statistics: Statistics = "face",
        store: str | None = None,
    ) -> None:
        super().__init__(
            root=root, labels="ferplus", test_split=test_split, image_size=image_size, in_chans=in_chans,
            val_share=val_share, batch_size=batch_size, resolution=resolution, augmentation=augmentation,
            degrade=degrade, statistics=statistics, store=store,
        )  # fmt: skip
        if wild_repeat < 0 or wild_size < 16 or not 0 <= vote_share <= 1 or not 0 <= balance <= 1:
            raise VidferError(
                "wild_repeat lies from 0 on, wild_size from 16 px on, vote_share and balance in [0, 1], not at "
                f"{wild_repeat}, {wild_size}, {vote_share} and {balance}"
            )
        self.save_hyperparameters(logger=False)
        self.source = type(self).source  # the labels are but one of the conventions
        self.wild_root = None if wild_root is None else Path(wild_root)
        self.teachers = teachers or {"large": 0.7, "small": 0.3}
        self.val_persons, self.wild_size, self.wild_repeat = val_persons, wild_size, wild_repeat
        self.vote_share, self.balance = vote_share, balance
        self.soft: dict[str, SoftImages] = {}
        self.reports: list[PreparationReport] = []

    def setup(self, stage: str) -> None:
        """Read the splits that a stage needs and report what was dropped."""
        super().setup(stage)
        if stage not in ("fit", "validate") or self.soft:
            return
        parts = [read_soft_fer2013(self.root, self.teachers, self.val_share)]
        if self.wild_root is not None:
            parts.append(read_wild(self.wild_root, self.teachers, self.val_persons, self.wild_size))
        for _, report in parts:
            self.announce(report)
        self.reports = [report for _, report in parts]
        for split in ("train", "val"):
            faces = [each.subset(each.held_out == (split == "val")) for each, _ in parts]
            self.soft[split] = SoftImages(faces, self.vote_share, self.wild_repeat if split == "train" else 1)

    def _read_train_val(self) -> tuple[LabelledImages, LabelledImages]:
        """Read the rows with a FER+ majority; those held out are the same as for the soft labels."""
        train, _ = read_train_val(self.root, 0.0, test_split=self.test_split, labels=self.labels)
        held_out = np.array([hash_share(image) < self.val_share for image in train.image], bool)
        return train.subset(~held_out, train.report), train.subset(held_out, train.report)

    def train_dataloader(self) -> DataLoader[SoftBatch]:  # type: ignore[override]
        """Return shuffled full batches of the training faces."""
        return self.shuffled(self.soft["train"], self.batch_size, num_workers=0, collate_fn=whole_batch)

    def val_dataloader(self) -> DataLoader[SoftBatch]:
        """Return the faces held out, in order."""
        return self.in_order(self.soft["val"], self.batch_size, collate_fn=whole_batch)

    def class_shares(self) -> list[float]:
        """Return the mean of the training faces' targets of `video`: the prior of that head.

        The weights of `balance` do not move it, as those of one-hot targets would: they weigh whole faces, and what fits a face's
        distribution best is the same at any weight.
        """
        return [float(share) for share in self.soft["train"].class_shares()]

    def class_weights(self) -> Tensor:
        """Return the weight of each class for `video`, float32 `(7,)`; 1 on average over the training faces."""
        shares = self.soft["train"].class_shares()
        weight = shares**-self.balance
        return (weight / (weight * shares).sum()).float()

    def card_entries(self) -> dict[str, Any]:
        """Return what a card says about the data, its preprocessing, and the head of each labelling convention."""
        entries = super().card_entries()
        train, val = self.soft["train"], self.soft["val"]
        entries["data"] |= {
            "found": {report.source: report.found for report in self.reports},
            "trained_on": train.counts(),
            "validated_on": val.counts(),
            "dropped": {reason: len(names) for report in self.reports for reason, names in report.dropped.items()},
        }
        mixture = ", ".join(f"{name} {weight:g}" for name, weight in self.teachers.items())
        votes = f"; {self.vote_share:g} of the target from FER+ votes, where there are some" if self.vote_share else ""
        told = (f"soft labels of teachers ({mixture}){votes}", "FER2013's labels", "shares of the FER+ votes")
        return entries | {"conventions": dict(zip(CONVENTIONS, told, strict=True))}

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:  # noqa: ANN401 - of either kind
        """Turn the images of a batch into what the network reads, float `(B, in_chans, H, W)`, augmented while training."""
        if "wild" not in batch:
            return super().on_after_batch_transfer(batch, dataloader_idx)
        views = []
        size = len(batch["place"])
        for image, of_wild in ((batch["image"], False), (batch["wild"], True)):
            gray = image[:, None].float() / 255
            if self.trainer is not None and self.trainer.training:
                place = batch["place"][batch["of_wild"] == of_wild]
                with shares.sharing(size), shares.rows(place, size):
                    views.append(self.augment(gray, self.training_size(self.trainer.current_epoch)))
            else:
                views.append(self.preprocessing(gray))
        return {**{name: each for name, each in batch.items() if name != "wild"}, "image": torch.cat(views)}

    def _contents(self) -> Iterable[Any]:
        return soft_contents(**self.hparams)


class SoftImages(Dataset[SoftBatch]):
    """Faces in memory, fetched a whole batch at a time: FER2013's first, then photographs, each several times an epoch.

    Args:
        parts: FER2013's rows, and photographs if there are any.
        vote_share: Share of the FER+ votes in the target of `video`, where there are some.
        repeat: How often a photograph is in the data set.
    """

    def __init__(self, parts: Sequence[SoftFaces], vote_share: float, repeat: int) -> None:
        fer, wild = parts[0], parts[-1] if len(parts) > 1 else parts[0].subset(np.zeros(len(parts[0].name), bool))
        self.fer, self.wild, self.repeat = torch.from_numpy(fer.image), torch.from_numpy(wild.image), repeat
        label, votes, teacher = (
            torch.from_numpy(np.concatenate([getattr(fer, name), getattr(wild, name)]))
            for name in ("label", "votes", "teacher")
        )
        voted = votes.sum(1, keepdim=True)  # 1 or 0
        self.target = {
            "video": teacher + vote_share * voted * (votes - teacher),
            "fer2013": one_hot(label.clamp_min(0), len(EMOTIONS)).float(),
            "ferplus": votes,
        }
        self.known = {"video": torch.ones(len(label)), "fer2013": (label >= 0).float(), "ferplus": voted[:, 0]}

    def __len__(self) -> int:
        return len(self.fer) + self.repeat * len(self.wild)

    def __getitem__(self, index: int) -> SoftBatch:
        return self.__getitems__([index])

    def __getitems__(self, indices: list[int]) -> SoftBatch:
        """Return a whole batch, FER2013's faces first: a hook of `DataLoader`."""
        chosen = torch.as_tensor(indices)
        first = len(self.fer)
        fer, wild = chosen[chosen < first], (chosen[chosen >= first] - first) % max(len(self.wild), 1)
        rows = torch.cat([fer, wild + first])
        return SoftBatch(
            image=self.fer[fer],
            wild=self.wild[wild],
            target={name: each[rows] for name, each in self.target.items()},
            known={name: each[rows] for name, each in self.known.items()},
            of_wild=rows >= first,
            place=torch.cat([(chosen < first).nonzero()[:, 0], (chosen >= first).nonzero()[:, 0]]),
        )

    def class_shares(self) -> Tensor:
        """Return the mean target of `video` over the data set, float64 `(7,)`."""
        video, first = self.target["video"].double(), len(self.fer)
        return (video[:first].sum(0) + self.repeat * video[first:].sum(0)) / len(self)

    def counts(self) -> dict[str, int]:
        """Return the number of faces that each convention has targets for, and of photographs."""
        return {name: int(each.sum()) for name, each in self.known.items()} | {"photographs": len(self.wild)}
