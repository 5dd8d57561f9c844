"""FER2013, or any set in its layout, in batches."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch.utils.data import DataLoader, Dataset

from vidfer.datamodules.augment import ImageAugmentation
from vidfer.datamodules.base import BaseDataModule, class_shares
from vidfer.datamodules.denoised import Denoise
from vidfer.datasets.contents import image_contents
from vidfer.datasets.fer2013 import LabelledImages, read_images, read_logits, read_train_val
from vidfer.datasets.fer2013_csv import Labels
from vidfer.datasets.synthetic import write_faces
from vidfer.models import shares
from vidfer.models.batches import ImageBatch
from vidfer.models.preprocess import Preprocessing, Statistics
from vidfer.stages.denoise import DenoiseMode
from vidfer.types import EMOTIONS, VidferError


class Fer2013DataModule(BaseDataModule):
    """Gray faces: `val` is held out of the training split by content hash; the test split is only ever tested on.

    Images stay uint8 in memory; whole batches become float, augmented and standardised on the device.

    Args:
        root: Folder that holds `<split>/<class>/*` or Kaggle's `fer2013.csv`, or that file itself.
        labels: `fer2013`, or `ferplus` for the majority of the FER+ votes in `fer2013new.csv` beside `fer2013.csv`.
        train_split: Split to train on; what recurs in a test split is dropped.
        test_split: Split to test on.
        image_size: Edge in px of what the network reads.
        in_chans: 1, or 3 to repeat the gray image for networks made for colour.
        val_share: Share of the training split held out for validation.
        batch_size: Images a step.
        resolution: Pairs of first epoch and edge in px for training on smaller images at first; empty to train at
            `image_size` throughout. Validation and test always run at `image_size`.
        augmentation: Strength of augmentation, 1 for the full ranges of `ImageAugmentation`, 0 for flips only.
        degrade: Probability of each of the faults of video (low resolution, noise, compression) for a training image.
        teacher: File of a teacher's logits for the training images, as `vidfer evaluate image --save-logits` writes it; None
            for none.
        num_workers: Loader processes; 0 is best here, since a batch is one indexing operation.
        mean: Subtracted from pixels in [0, 1], for networks pretrained so; None to standardise every image by itself.
        std: Divided by after `mean`.
        statistics: Where an image's own mean and deviation are taken, see `Preprocessing`.
        mirrored: Whether the network is to average faces of clips with their mirror images.
        denoise_model: Name or file of the weights that images are denoised by, once; None leaves them as they are.
        denoise: `auto` denoises what is noisier than the threshold, `on` every image, `off` none.
        denoise_threshold: Noise above which `auto` denoises, as sigma on the scale 0-255.
        store: Folder in which denoised images are kept; None for the default store.
    """

    source = "FER2013"
    licence = "Weights: Apache-2.0. FER2013, that they were trained on, is offered for research use."

    def __init__(
        self,
        root: str = "data/fer2013",
        labels: Labels = "fer2013",
        train_split: str = "train",
        test_split: str = "public_test",
        image_size: int = 48,
        in_chans: int = 1,
        val_share: float = 0.05,
        batch_size: int = 128,
        resolution: list[list[int]] | None = None,
        augmentation: float = 1.0,
        degrade: float = 0.0,
        teacher: str | None = None,
        num_workers: int = 0,
        mean: float | None = None,
        std: float | None = None,
        statistics: Statistics = "face",
        mirrored: bool = True,
        denoise_model: str | None = None,
        denoise: DenoiseMode = "auto",
        denoise_threshold: float = 10.0,
        store: str | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 1 or not 0 <= val_share < 1:
            raise VidferError(
                f"batch_size has to be at least 1 and val_share in [0, 1), not {batch_size} and {val_share}"
            )
        self.save_hyperparameters(logger=False)
        self.root, self.labels, self.teacher = Path(root), labels, teacher
        if labels == "ferplus":
            self.source = "FER2013 with FER+ labels"
        self.train_split, self.test_split, self.val_share = train_split, test_split, val_share
        self.batch_size, self.num_workers = batch_size, num_workers
        self.resolution = sorted(resolution or [])
        self.preprocessing = Preprocessing(
            image_size, in_chans, mean=mean, std=std, statistics=statistics, mirrored=mirrored
        )
        self.augment = ImageAugmentation(self.preprocessing, augmentation, degrade=degrade)
        self.denoising, self.store = Denoise(denoise_model, denoise, denoise_threshold), store
        self.data: dict[str, BatchedImages] = {}

    def setup(self, stage: str) -> None:
        """Read the splits that a stage needs and report what was dropped."""
        if stage == "predict":
            stage = {"val": "validate", "test": "test"}[self.predict_split]
        if stage in ("fit", "validate") and "train" not in self.data:
            train, val = self._train_val()
            self.announce(train.report)
            self.data |= {"train": BatchedImages(train, self.teacher), "val": BatchedImages(val)}
        if stage == "test" and "test" not in self.data:
            labelled = self._test()
            self.announce(labelled.report)
            self.data["test"] = BatchedImages(labelled)

    def _train_val(self) -> tuple[LabelledImages, LabelledImages]:
        """Read the images to train and to validate on, denoised."""
        train, val = self.denoising.clean(self._read_train_val(), self.store)
        return train, val

    def _read_train_val(self) -> tuple[LabelledImages, LabelledImages]:
        return read_train_val(
            self.root, self.val_share, split=self.train_split, test_split=self.test_split, labels=self.labels
        )

    def _test(self) -> LabelledImages:
        """Read the images to test on, denoised."""
        return self.denoising.clean([read_images(self.root, self.test_split, labels=self.labels)], self.store)[0]

    def train_dataloader(self) -> DataLoader[ImageBatch]:
        """Return shuffled full batches of the training images."""
        return self.shuffled(self.data["train"], self.batch_size, num_workers=self.num_workers, collate_fn=whole_batch)

    def predict_dataloader(self) -> DataLoader[ImageBatch]:
        """Return this process's images of the chosen split, in order."""
        return self.own(self.data[self.predict_split], self.batch_size, collate_fn=whole_batch)

    def predicted(self) -> pd.DataFrame:
        """Return a row for each image that is predicted, of all processes: `image`, `digest`, `person`, `label` and `split`."""
        data = self.data[self.predict_split]
        labels = [EMOTIONS[at] for at in data.target.tolist()]
        columns = {"image": data.name, "digest": data.digest, "person": data.person, "label": labels}
        return pd.DataFrame(columns).assign(split=self.predict_split)

    def training_size(self, epoch: int) -> int:
        """Return the edge of the training images in px in an epoch, from 0."""
        size = self.preprocessing.image_size
        return next((edge for first, edge in reversed(self.resolution) if epoch >= first), size)

    def class_shares(self) -> list[float]:
        """Return the share of each class in the training images, in the order of `EMOTIONS`."""
        return class_shares(self.data["train"].target)

    def card_entries(self) -> dict[str, Any]:
        """Return what a card says about the data and its preprocessing."""
        report, shares = self.data["train"].report, self.class_shares()
        missing = [name for name, share in zip(EMOTIONS, shares, strict=True) if not share]
        return {
            "preprocessing": self.preprocessing.as_card(),
            "data": {
                "source": self.source,
                "split": self.train_split,
                "found": report.found,
                "trained_on": len(self.data["train"]),
                "validated_on": len(self.data["val"]),
                **(
                    {"missing_classes": missing}  # then there is no prior that could be taken away
                    if missing
                    else {"class_shares": [round(share, 6) for share in shares]}
                ),
                "dropped": {reason: len(names) for reason, names in report.dropped.items()},
                **self.denoising.card(),
            },
            "licence": self.licence,
        }

    def on_after_batch_transfer(self, batch: ImageBatch, dataloader_idx: int) -> ImageBatch:
        """Turn images uint8 `(B, S, S)` into what the network reads, float `(B, in_chans, H, W)`, augmented while training."""
        gray = batch["image"][:, None].float() / 255
        if self.trainer is not None and self.trainer.training:
            with shares.sharing(len(gray)):
                image = self.augment(gray, self.training_size(self.trainer.current_epoch))
        else:
            image = self.preprocessing(gray)
        return {**batch, "image": image}

    def _contents(self) -> Iterable[Any]:
        return image_contents(**self.hparams)

    def _in_order(self, split: str) -> DataLoader[ImageBatch]:
        return self.in_order(self.data[split], self.batch_size, num_workers=self.num_workers, collate_fn=whole_batch)


class SampleFacesDataModule(Fer2013DataModule):
    """Drawn faces, made on first use in `root`; everything else as for FER2013."""

    source = "sample (drawn faces: no people)"
    licence = "Apache-2.0"

    def prepare_data(self) -> None:
        """Draw the faces unless they are there."""
        write_faces(self.root)


class BatchedImages(Dataset[ImageBatch]):
    """Images in memory, fetched a whole batch at a time, with a teacher's logits if a file of them is given."""

    def __init__(self, labelled: LabelledImages, teacher: str | None = None) -> None:
        self.report, self.person = labelled.report, labelled.person or [None] * len(labelled.name)
        self.name, self.digest = labelled.name, labelled.digest
        self.image, self.target = torch.from_numpy(labelled.image), torch.from_numpy(labelled.target)
        self.teacher = None if teacher is None else torch.from_numpy(read_logits(Path(teacher), labelled.digest))

    def __len__(self) -> int:
        return len(self.target)

    def __getitem__(self, index: int) -> ImageBatch:
        return self.__getitems__([index])

    def __getitems__(self, indices: list[int]) -> ImageBatch:
        """Return a whole batch of images: a hook of `DataLoader`."""
        chosen = torch.as_tensor(indices)
        batch = ImageBatch(image=self.image[chosen], target=self.target[chosen])
        if self.teacher is not None:
            batch["teacher"] = self.teacher[chosen]
        return batch


def whole_batch(batch: Any) -> Any:  # noqa: ANN401 - DataLoader's type knows lists only
    """Return a batch that the data set fetched at once as it is: a `collate_fn`."""
    return batch
