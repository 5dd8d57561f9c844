"""Speech of RAVDESS with faces of FER2013 that show the same class: paired (semi-synthetic) clips."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch

from vidfer.datamodules.clips import ClipDataModule
from vidfer.datamodules.features import AS_RECORDED, FeatureReader, Features, ReadClips, Sample, Variant
from vidfer.datasets.clips import recognise, split_names
from vidfer.datasets.contents import PAIRED_SOUNDS, image_contents
from vidfer.datasets.fer2013 import LabelledImages, read_images, read_train_val
from vidfer.datasets.paired import NAME, Pairing, pair_faces
from vidfer.datasets.report import LabelledClip
from vidfer.datasets.synthetic import write_faces, write_sounds
from vidfer.media.align import TEMPLATE
from vidfer.pipeline.runner import cached
from vidfer.pipeline.stage import Outcome, tool_versions
from vidfer.pipeline.store import Draft, Store, default_store
from vidfer.weights.files import weights_digest

PEOPLE: Final = {
    "ravdess": {"train_people": "2-16", "test_people": "17-20"},  # actor 1 is kept for tests of video
    "crema_d": {"train_people": "1001-1072", "test_people": "1073-1091"},
}
"""Who is trained on and tested on where a data set publishes no split."""


class PairedDataModule(ClipDataModule):
    """Paired clips: speakers are disjoint between splits, and so are face images.

    The faces of training clips come from FER2013's training images, those of validation clips from a share of them that is
    held out by content, and those of test clips from the test split. The shipped image network was trained on copies of most
    images of the first two, in other pixels, and on none of the test split.

    Args:
        root: Folder of RAVDESS speech; `data/ravdess_speech` if not given.
        faces_root: FER2013, as folders or as CSV.
        train_people: Speakers that are trained on.
        test_people: Speakers that are tested on.
        frames: Face images of a clip, see `Pairing`.
        neutral_share: Largest share of neutral face images in a training clip, see `Pairing`.
        pairings: How many faces each training recording is paired with; others get one.
        val_share: Share of the training images held out for validation clips.
        test_split: FER2013's split for the test clips' faces.
        pairing_seed: Which face goes with which recording.
        denoise_model: Name or file of the weights that face images are denoised by; None leaves them as they are.
        options: The other arguments of `ClipDataModule`; folds divide speakers, and leave FER2013's splits as they are.
    """

    source = f"{NAME}: RAVDESS speech x FER2013"
    licence = "Weights: for research, as RAVDESS (CC BY-NC-SA 4.0), FER2013 and openSMILE are."

    def __init__(
        self,
        root: str | None = None,
        faces_root: str = "data/fer2013",
        train_people: str = "2-16",
        test_people: str = "17-20",
        frames: int = 4,
        neutral_share: float = 0.0,
        pairings: int = 1,
        val_share: float = 0.05,
        test_split: str = "public_test",
        pairing_seed: int = 0,
        denoise_model: str | None = None,
        **options: Any,  # noqa: ANN401 - the base class knows their types
    ) -> None:
        super().__init__(
            data="ravdess",
            root=root or PAIRED_SOUNDS,
            train_people=train_people,
            test_people=test_people,
            max_frames=frames,
            denoise_model=denoise_model,
            **options,
        )
        self.pairing = Pairing(frames, neutral_share, pairing_seed)
        self.faces_root, self.test_split = Path(faces_root), test_split
        self.pairings, self.val_share = pairings, val_share

    def card_entries(self) -> dict[str, Any]:
        """Return what a card says: of real clips the weights read every face, since these have few for want of more."""
        entries = super().card_entries()
        if "max_frames" in entries["preprocessing"]:
            entries["preprocessing"]["max_frames"] = None
        return entries

    def reader(self, variant: Variant = AS_RECORDED) -> FeatureReader:
        """Build the reader of the recordings: faces come from elsewhere."""
        return FeatureReader(self.features, ["sound"], variant)

    def read(self, split: str, clips: Sequence[LabelledClip]) -> ReadClips:
        """Read the recordings, and pair each with a face."""
        found = super().read(split, clips)
        if not {"frames", "image"} & set(self.reads) or not found.samples:
            return found
        train, pool = split == "train", self._pool(split)
        target = {sample.name: sample.target for sample in found.samples}
        samples: list[Sample] = []
        for number in range(self.pairings if train else 1):
            share = self.pairing.neutral_share if train else 0.0
            faces = self._faces(target, pool, Pairing(self.pairing.frames, share, 1000 * self.pairing.seed + number))
            samples += [replace(each, features=each.features | faces[each.name]) for each in found.samples]
        return found._replace(samples=samples)

    def _contents(self) -> Iterable[Any]:
        yield from super()._contents()
        yield from image_contents(self.features.store, root=self.faces_root, test_split=self.test_split)

    def _pool(self, split: str) -> LabelledImages:
        if split == "test":
            sets = [read_images(self.faces_root, self.test_split)]
        else:
            sets = list(read_train_val(self.faces_root, self.val_share, test_split=self.test_split))
        return self.features.denoising.clean(sets, self.features.store)[split == "val"]

    def _faces(self, target: dict[str, int], pool: LabelledImages, pairing: Pairing) -> dict[str, Features]:
        """Make each recording's face images and their embeddings, or find them in the store."""
        from vidfer.inference.models import ImageModel

        names, weights, denoise = sorted(target), self.features.image_model, self.features.denoising.settings()
        recipe = {
            "stage": "paired",
            "version": 2,
            "recordings": sorted(target.items()),
            "images": [pool.digest, pool.target.tolist()],
            "pairing": [pairing.frames, pairing.neutral_share, pairing.seed],
            "weights": weights_digest("image", weights),
            "tools": tool_versions("torch", "opencv-python-headless"),
        }

        if denoise:
            recipe["denoise"] = [denoise.weights, denoise.threshold]

        def make(draft: Draft) -> Outcome:
            image = pair_faces(names, [target[name] for name in names], pool, pairing)
            embeddings, _ = ImageModel(weights).of_gray(image.reshape(-1, *image.shape[2:]), tta=None)
            frames = embeddings.reshape(*image.shape[:2], -1)
            draft.write_arrays("faces.safetensors", {"image": image, "frames": frames})
            return Outcome()

        artifact = cached(Store(self.features.store or default_store()), recipe, make)
        arrays = {name: torch.from_numpy(each) for name, each in artifact.arrays("faces.safetensors").items()}
        landmarks = torch.tensor(TEMPLATE).expand(pairing.frames, 5, 2)
        return {
            name: {"landmarks": landmarks, **{entry: rows[at] for entry, rows in arrays.items()}}
            for at, name in enumerate(names)
        }


class SamplePairedDataModule(PairedDataModule):
    """Synthesised voices with drawn faces, made on first use; everything else as for the real ones.

    Args:
        root: Folder to make them in.
        train_people: Speakers that are trained on, of six.
        test_people: Speakers that are tested on.
        options: The other arguments of `PairedDataModule`.
    """

    source = f"sample (synthesised voices, drawn faces: no people), {NAME}"
    licence = "Apache-2.0"

    def __init__(
        self,
        root: str = "runs/sample",
        train_people: str = "1-4",
        test_people: str = "5-6",
        **options: Any,  # noqa: ANN401 - the base class knows their types
    ) -> None:
        self.sounds, faces = Path(root) / "sounds", Path(root) / "faces"
        super().__init__(
            root=str(self.sounds), faces_root=str(faces), train_people=train_people, test_people=test_people, voice=False,
            **options,
        )  # fmt: skip

    def prepare_data(self) -> None:
        """Make the sounds and faces unless they are there."""
        write_sounds(self.sounds)
        write_faces(self.faces_root)


def build_clip_data(data: str, root: str | None = None, **options: Any) -> ClipDataModule:  # noqa: ANN401 - a module's own
    """Build the module of `paired`, `sample` or what `ClipDataModule` takes, with the people of `PEOPLE` or published splits."""
    if data in ("paired", "sample"):
        kind = PairedDataModule if data == "paired" else SamplePairedDataModule
        return kind(**options) if root is None else kind(root=root, **options)
    if len(split_names(data)) > 1:
        return ClipDataModule(data=data, root=root, **options)
    name, where = recognise(data, None if root is None else Path(root))
    return ClipDataModule(data=name, root=str(where), **{**PEOPLE.get(name, {}), **options})
