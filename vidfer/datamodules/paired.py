"""Voices of RAVDESS with faces of FER2013 that show the same class: paired (semi-synthetic) clips."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vidfer.datamodules.base import digest_files
from vidfer.datamodules.clips import ClipDataModule
from vidfer.datamodules.features import FeatureReader, Sample
from vidfer.datasets.clips import LabelledClip, find_clips
from vidfer.datasets.fer2013 import (
    TEST_SPLITS,
    LabelledImages,
    image_files,
    read_images,
    read_training_images,
    split_by_hash,
)
from vidfer.datasets.paired import NAME, Pairing, pair_faces
from vidfer.datasets.report import PreparationReport
from vidfer.datasets.synthetic import write_faces, write_sounds
from vidfer.media.align import TEMPLATE
from vidfer.pipeline.store import Artifact, Store, default_store, recipe_key

STAGE = "paired"


class PairedDataModule(ClipDataModule):
    """Paired clips: speakers are disjoint between splits, and so are face images.

    The faces of training clips come from FER2013's training images, those of validation clips from a share of them that is
    held out by content, and those of test clips from the test split; images that recur in a test split are left out of the
    others. The shipped image network was trained on the first of these, and, as long as `val_share` stays, on none of the others.

    Args:
        root: Folder of RAVDESS speech; `data/ravdess_speech` if not given.
        faces_root: FER2013, as folders or as CSV.
        train_people: Speakers that are trained on.
        val_people: Speakers that are validated on.
        test_people: Speakers that are tested on.
        folds: As for `ClipDataModule`, over the speakers; face images are divided by FER2013's splits all the same.
        fold: Number of the fold that is tested on, from 0.
        frames: Face images of a clip, see `Pairing`.
        neutral_share: Largest share of neutral face images in a training clip, see `Pairing`.
        pairings: How many faces each training recording is paired with; others get one.
        val_share: Share of the training images held out for validation clips.
        test_split: FER2013's split for the test clips' faces.
        voice: Whether windows of sound count only where someone speaks.
        speeds: Playing speeds of the training recordings.
        image_model: Whose embeddings of faces are read.
        win_dur: Length of a window of sound in seconds.
        hop_dur: Distance between windows in seconds.
        size: Number of labelled training clips; None for all.
        unlabelled: Whether the other training clips are given without their labels.
        batch_size: Labelled clips a step.
        seed: Which clips `size` draws.
        pairing_seed: Which face goes with which voice.
        store: Folder in which artifacts are kept; None for the default one, see `default_store`.
        reads: What is read of the clips; None for what the classifier that is trained reads.
    """

    licence = "Weights: for research, as RAVDESS (CC BY-NC-SA 4.0), FER2013 and openSMILE are."

    def __init__(
        self,
        root: str | None = None,
        faces_root: str = "data/fer2013",
        train_people: str = "2-16",
        val_people: str = "",
        test_people: str = "17-20",
        folds: int = 0,
        fold: int = 0,
        frames: int = 4,
        neutral_share: float = 0.0,
        pairings: int = 1,
        val_share: float = 0.05,
        test_split: str = "public_test",
        voice: bool = True,
        speeds: list[float] | None = None,
        image_model: str = "compact",
        win_dur: float = 2.0,
        hop_dur: float = 1.0,
        size: int | None = None,
        unlabelled: bool = False,
        batch_size: int = 32,
        seed: int = 0,
        pairing_seed: int = 0,
        store: str | None = None,
        reads: list[str] | None = None,
    ) -> None:
        super().__init__(
            data="ravdess", root=root, train_people=train_people, val_people=val_people, test_people=test_people,
            folds=folds, fold=fold, voice=voice, speeds=speeds, image_model=image_model, win_dur=win_dur, hop_dur=hop_dur,
            max_frames=frames, size=size, unlabelled=unlabelled, batch_size=batch_size, seed=seed, store=store, reads=reads,
        )  # fmt: skip
        Pairing(frames, neutral_share)
        self.options |= {
            "faces_root": faces_root, "frames": frames, "neutral_share": neutral_share, "pairings": pairings,
            "val_share": val_share, "test_split": test_split, "pairing_seed": pairing_seed,
        }  # fmt: skip

    @property
    def source(self) -> str:
        """What the data are, for the card and for whatever is printed."""
        return f"{NAME}: RAVDESS speech x FER2013"

    def find(self) -> tuple[list[LabelledClip], PreparationReport]:
        """Find the recordings of voices."""
        return find_clips("ravdess", Path(self.options["root"] or "data/ravdess_speech"))

    def reader(self, speed: float = 1.0) -> FeatureReader:
        """Build the reader of the voices: faces come from elsewhere."""
        return replace(super().reader(speed), reads=("sound",))

    def read(
        self, split: str, clips: Sequence[LabelledClip]
    ) -> tuple[list[Sample], dict[str, list[str]], dict[str, list[str]]]:
        """Read the voices, and give each its face."""
        voices, dropped, noted = super().read(split, clips)
        chosen, train = self.options, split == "train"
        share = chosen["neutral_share"] if train else 0.0
        samples: list[Sample] = []
        if not {"frames", "image"} & set(self.reads) or not voices:
            return voices, dropped, noted
        pool = self._pool(split)
        named = {voice.name: voice.target for voice in voices}
        for number in range(chosen["pairings"] if train else 1):
            pairing = Pairing(chosen["frames"], share, 1000 * chosen["pairing_seed"] + number)
            faces = dict(zip(named, self._faces(named, pool, pairing), strict=True))
            samples += [
                Sample(voice.name, voice.person, voice.target, voice.features | faces[voice.name]) for voice in voices
            ]
        return samples, dropped, noted

    def _contents(self) -> Iterable[Any]:
        yield from super()._contents()
        root, splits = Path(self.options["faces_root"]), ("train", *TEST_SPLITS, self.options["test_split"])
        yield digest_files(image_files(root, dict.fromkeys(splits)), root, self.options["store"])

    def _pool(self, split: str) -> LabelledImages:
        root, test_split = Path(self.options["faces_root"]), self.options["test_split"]
        if split == "test":
            return read_images(root, test_split)
        images = read_training_images(root, test_splits=tuple(dict.fromkeys((*TEST_SPLITS, test_split))))
        held_out = split_by_hash(images, self.options["val_share"])
        return images.subset(held_out if split == "val" else ~held_out, images.report)

    def _faces(self, named: dict[str, int], pool: LabelledImages, pairing: Pairing) -> list[dict[str, torch.Tensor]]:
        """Make the clips' frames with their embeddings, or find them in the store."""
        from vidfer.inference.models import ImageModel, one_thread
        from vidfer.pipeline.versions import tool_versions
        from vidfer.weights.files import weights_digest

        weights = self.options["image_model"]
        recipe = {
            "stage": STAGE,
            "version": 2,
            "recordings": sorted(named.items()),
            "images": [pool.digest, pool.target.tolist()],
            "pairing": [pairing.frames, pairing.neutral_share, pairing.seed],
            "weights": weights_digest("image", weights),
            "tools": tool_versions("torch", "opencv-python-headless"),
        }
        store = Store(self.options["store"] or default_store())
        artifact = store.find(STAGE, recipe_key(recipe))
        if artifact is None:
            names = sorted(named)
            image = pair_faces(names, [named[name] for name in names], pool, pairing)
            with one_thread():
                embeddings, _ = ImageModel(weights).of_gray(image.reshape(-1, *image.shape[2:]), tta="flip")
            artifact = _publish(store, recipe, image, embeddings)
        arrays = artifact.arrays("faces.safetensors")
        places = {name: at for at, name in enumerate(sorted(named))}
        landmarks = torch.tensor(TEMPLATE).expand(pairing.frames, 5, 2)
        return [
            {
                "frames": torch.from_numpy(arrays["frames"][places[name]]),
                "image": torch.from_numpy(arrays["image"][places[name]]),
                "landmarks": landmarks,
            }
            for name in named
        ]


class SamplePairedDataModule(PairedDataModule):
    """Synthesised voices with drawn faces, made on first use below `root`; everything else as for the real ones.

    Args:
        root: Folder to make them in.
        train_people: Speakers that are trained on.
        val_people: Speakers that are validated on.
        test_people: Speakers that are tested on.
        folds: As for `ClipDataModule`.
        fold: Number of the fold that is tested on.
        pairings: How many faces each training recording is paired with.
        size: Number of labelled training clips; None for all.
        unlabelled: Whether the other training clips are given without their labels.
        batch_size: Labelled clips a step.
        seed: Which clips `size` draws.
        store: Folder in which artifacts are kept; None for the default one, see `default_store`.
        reads: What is read of the clips; None for what the classifier that is trained reads.
    """

    licence = "Apache-2.0"

    def __init__(
        self,
        root: str = "runs/sample",
        train_people: str = "1-4",
        val_people: str = "",
        test_people: str = "5-6",
        folds: int = 0,
        fold: int = 0,
        pairings: int = 1,
        size: int | None = None,
        unlabelled: bool = False,
        batch_size: int = 32,
        seed: int = 0,
        store: str | None = None,
        reads: list[str] | None = None,
    ) -> None:
        super().__init__(
            root=str(Path(root) / "sounds"), faces_root=str(Path(root) / "faces"), train_people=train_people,
            val_people=val_people, test_people=test_people, folds=folds, fold=fold, pairings=pairings, size=size,
            unlabelled=unlabelled, batch_size=batch_size, seed=seed, store=store, reads=reads, voice=False,
        )  # fmt: skip

    @property
    def source(self) -> str:
        """What the data are, for the card and for whatever is printed."""
        return f"sample (synthesised voices, drawn faces: no people), {NAME}"

    def prepare_data(self) -> None:
        """Make the sounds and faces unless they are there."""
        write_sounds(Path(self.options["root"]))
        write_faces(Path(self.options["faces_root"]))


def _publish(
    store: Store, recipe: dict[str, Any], image: npt.NDArray[np.uint8], embeddings: npt.NDArray[np.float32]
) -> Artifact:
    with store.draft(STAGE, recipe_key(recipe)) as draft:
        draft.write_arrays("faces.safetensors", {"image": image, "frames": embeddings.reshape(*image.shape[:2], -1)})
        return store.publish(draft.seal(recipe))
