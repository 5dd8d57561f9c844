"""Features of labelled clips: what a classifier reads, computed and kept by the very stages that `vidfer analyze` runs."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vidfer.datamodules.denoised import Denoise
from vidfer.datasets.report import LabelledClip
from vidfer.media.loudness import TARGET
from vidfer.media.spoil import require_spoiler
from vidfer.media.vad import SPEECH_SHARE
from vidfer.models.batches import ClipBatch
from vidfer.models.classifiers.base import FRAME_FEATURES, SOUND_FEATURES
from vidfer.models.preprocess import standardise_face
from vidfer.pipeline.runner import StageProgress, finished
from vidfer.pipeline.stage import Stage
from vidfer.pipeline.store import Artifact, Store, default_store
from vidfer.stages.audio import AudioStage
from vidfer.stages.chain import ChainOptions, build_chain
from vidfer.stages.clip_faces import EDGE, read_faces, seen_most, spread
from vidfer.stages.denoise import DenoiseMode
from vidfer.types import ClipError, Status, VidferError

Features = dict[str, Tensor]
"""Entries of a `ClipBatch` for one clip: `frames (T, D)`, `image (T, 48, 48)` uint8, `landmarks (T, 5, 2)`, `sound (W, F)`."""

_SHAPES: Final = {"sound": (SOUND_FEATURES,), "image": (EDGE, EDGE), "landmarks": (5, 2)}


class Variant(NamedTuple):
    """How the sound of a clip is played: its speed, and how it is spoilt, if it is."""

    speed: float = 1.0
    augment: str = ""


AS_RECORDED: Final = Variant()
"""The sound of clips that are not trained on."""


@dataclass(frozen=True)
class FeatureOptions:
    """What is read of clips, and how. Every field is an argument of the data modules of clips, and so a key of configurations.

    Args:
        win_dur: Length of a window of sound in seconds, at least 0.1.
        hop_dur: Distance between windows in seconds, above 0 and at most `win_dur`.
        voice: Whether windows of sound count only where someone speaks.
        speeds: Playing speeds of the sound of training clips, from 0.25 to 4: above 1 it is faster and higher, as if someone
            else spoke; None for the recordings as they are.
        augment: Ways to make the sound of training clips worse, such as `noise` or `room+codec:2`, see `vidfer.media.spoil`: each
            gives one more copy of every training clip, at one of the `speeds` in turn; None for no such copies.
        loudness: Loudness in LUFS, from -70 to 0, that every recording is brought to; None leaves recordings as loud as they are.
        image_model: Name or file of the weights whose embeddings of faces are read.
        denoise_model: Name or file of the weights that faces are denoised by before; None for none.
        denoise: `auto` denoises what is noisier than the threshold, `on` every face, `off` none.
        denoise_threshold: Noise above which `auto` denoises, as sigma on the scale 0-255.
        max_frames: Face images of a clip at the most, evenly spread over the person who is seen most.
        standardise: `global` leaves vectors as they are, and the network standardises them by the training clips' statistics;
            `speaker` standardises the sound of each person by the statistics of all clips of that person in the data set, which
            supposes that other recordings of the person who is tested are at hand.
        store: Folder in which artifacts are kept; None for the default store.
        reads: Entries of a `ClipBatch` to read; None for those that the classifier in training reads.
    """

    win_dur: float = 2.0
    hop_dur: float = 1.0
    voice: bool = True
    speeds: list[float] | None = None
    augment: list[str] | None = None
    loudness: float | None = TARGET
    image_model: str = "compact"
    denoise_model: str | None = "small"
    denoise: DenoiseMode = "auto"
    denoise_threshold: float = 10.0
    max_frames: int = 16
    standardise: str = "global"
    store: str | None = None
    reads: list[str] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be read."""
        if self.standardise not in ("global", "speaker"):
            raise VidferError(f"standardise '{self.standardise}' is none of global, speaker")
        if self.max_frames < 1:
            raise VidferError(f"max_frames has to be at least 1, not {self.max_frames}")
        if not (self.win_dur >= 0.1 and 0 < self.hop_dur <= self.win_dur):
            raise VidferError("win_dur has to be at least 0.1, and hop_dur above 0 and at most win_dur")
        if not all(0.25 <= speed <= 4 for speed in self.speeds or []):
            raise VidferError(f"speeds have to be from 0.25 to 4, not {self.speeds}")
        for how in self.augment or []:
            require_spoiler(how)
        if self.loudness is not None and not -70 <= self.loudness <= 0:
            raise VidferError(f"loudness has to be from -70 to 0 LUFS, or null, not {self.loudness}")
        _ = self.denoising

    def variants(self, split: str) -> list[Variant]:
        """List how the sound of a split's clips is played: of training clips at every speed, and spoilt in every way."""
        if split != "train":
            return [AS_RECORDED]
        speeds = self.speeds or [1.0]
        spoilt = [Variant(speeds[at % len(speeds)], how) for at, how in enumerate(self.augment or [])]
        return [*(Variant(speed) for speed in speeds), *spoilt]

    @property
    def denoising(self) -> Denoise:
        """Which faces are denoised, and by what."""
        return Denoise(self.denoise_model, self.denoise, self.denoise_threshold)

    def chain(self) -> tuple[Stage, ...]:
        """Build the stages that read faces, as `vidfer analyze` does."""
        return build_face_chain(self.image_model, self.denoising)


@dataclass(frozen=True, eq=False)
class Sample:
    """One clip, ready to be trained or tested on."""

    name: str  # of its file
    person: str | None  # None where not known
    target: int  # an index into `EMOTIONS`; -1 where the label is withheld from the classifier
    features: Features
    corpus: str = ""  # the data set that it is of


class ReadClips(NamedTuple):
    """The samples of clips, in each variant."""

    samples: list[Sample]
    dropped: dict[str, list[str]]  # names of the clips without any feature, by reason
    noted: dict[str, list[str]]  # names of the clips that lack one of the modalities, by reason


class FeatureReader:
    """Reads some of `frames`, `image` and `sound` (in one variant) of clips, from the store where they are known."""

    def __init__(
        self,
        options: FeatureOptions,
        reads: Iterable[str],
        variant: Variant = AS_RECORDED,
        progress: StageProgress | None = None,
    ) -> None:
        self.options, self.reads, self._progress = options, frozenset(reads), progress
        self._store = Store(options.store or default_store())
        # shared with analysis, which detects speech; a variant for training alone may do without
        vad = variant == AS_RECORDED or options.voice
        speed, augment = variant
        self._audio = (AudioStage(options.win_dur, options.hop_dur, speed, vad, options.loudness, augment),)

    @cached_property
    def _chain(self) -> tuple[Stage, ...]:
        return self.options.chain()

    def __call__(self, path: Path) -> tuple[Features, list[ClipError]]:
        """Read what a clip has, and the errors of what it lacks; raise the first `ClipError` where it has nothing."""
        found: Features = {}
        faults: list[ClipError] = []
        for wanted, read in (({"sound"}, self._sound), ({"frames", "image"}, self._faces)):
            if wanted & self.reads:
                try:
                    found |= read(path)
                except ClipError as error:
                    faults.append(error)
        if not found:
            raise faults[0]
        return found, faults

    def _sound(self, path: Path) -> Features:
        with finished(self._audio, "audio", path, self._store, self._progress) as audio:
            if audio.status not in (Status.OK, Status.PARTIAL):
                raise ClipError(audio.status, audio.message)
            windows = audio.arrays("windows.safetensors")
        used = windows["silent"] == 0
        if self.options.voice:
            used &= windows["voice"] >= SPEECH_SHARE
        if not used.any():
            raise ClipError(Status.NO_VOICE, "nobody speaks")
        return {"sound": torch.from_numpy(windows["vectors"][used])}

    def _faces(self, path: Path) -> Features:
        result: Features = {}
        with self._reach("faces", path) as faces:
            if not faces.names("crops-"):
                raise ClipError(faces.status if faces.status != Status.OK else Status.NO_FACE, faces.message)
            track = faces.table("faces.parquet")["track"]
            rows = spread(track, seen_most(track), self.options.max_frames)
            if "frames" in self.reads:
                with self._reach("finetune", path) as finetune:
                    if not finetune.names("embeddings"):
                        raise ClipError(finetune.status, finetune.message)
                    embeddings = finetune.arrays("embeddings.safetensors")["embeddings"]
                result["frames"] = torch.from_numpy(embeddings[rows])
            if "image" in self.reads:
                with self._reach("denoise", path) as denoise:
                    image, landmarks = read_faces(faces, denoise, rows)
                result["image"], result["landmarks"] = torch.from_numpy(image), torch.from_numpy(landmarks)
        return result

    def _reach(self, stage: str, path: Path) -> AbstractContextManager[Artifact]:
        return finished(self._chain, stage, path, self._store, self._progress)


def build_face_chain(image_model: str | None, denoising: Denoise) -> tuple[Stage, ...]:
    """Build the stages that find, denoise and embed the faces of a clip; without `image_model` those before the embeddings.

    Raises:
        VidferError: There are no such weights.
    """
    off = denoising.model is None or denoising.mode == "off"
    options = ChainOptions(
        image_model=image_model,
        denoise="off" if off else denoising.mode,
        denoise_model=denoising.model or "small",
        denoise_threshold=denoising.threshold,
        audio_model="none",
        faces_model="none",
        fusion_model="late",
    )
    return build_chain(options)


def read_clips(clips: Sequence[LabelledClip], readers: Iterable[FeatureReader]) -> ReadClips:
    """Read every clip by every reader, such as one for each variant of the sound."""
    samples: list[Sample] = []
    dropped, noted = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for reader in readers:
        for clip in clips:
            try:
                features, faults = reader(clip.path)
            except ClipError as error:
                dropped[f"{error.status}: {error.message}"].append(clip.name)
                continue
            samples.append(Sample(clip.name, clip.person, clip.target, features, clip.corpus))
            for fault in faults:
                noted[f"{fault.status}: {fault.message}"].append(clip.name)
    once = ({why: list(dict.fromkeys(names)) for why, names in part.items()} for part in (dropped, noted))
    return ReadClips(samples, *once)


def complete(samples: Sequence[Sample], reads: Sequence[str], width: int = FRAME_FEATURES) -> list[Sample]:
    """Give every sample every entry, empty where it lacks one; embeddings have `width` numbers."""
    empty: Features = {}
    for name in [*reads, *(["landmarks"] if "image" in reads else [])]:
        like = next((sample.features[name] for sample in samples if name in sample.features), None)
        shape = (width,) if name == "frames" else _SHAPES[name]
        empty[name] = torch.zeros(0, *shape) if like is None else like[:0]
    return [replace(sample, features=empty | sample.features) for sample in samples]


def standardise_speakers(samples: Sequence[Sample]) -> list[Sample]:
    """Standardise sound by the mean and deviation of each person's windows, whatever their labels are.

    Raises:
        VidferError: A speaker is unknown.
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
        result.append(replace(sample, features=features))
    return result


def collate_clips(samples: Sequence[Sample]) -> ClipBatch:
    """Pad clips to one batch, with each entry that one of them has; faces are standardised one by one."""
    batch = ClipBatch(target=torch.tensor([sample.target for sample in samples]))
    if len(corpora := sorted({sample.corpus for sample in samples})) > 1:
        batch["corpus"] = torch.tensor([corpora.index(sample.corpus) for sample in samples])
    there = set().union(*(sample.features for sample in samples))
    if there & {"frames", "image"}:
        batch["frame_mask"] = _mask(samples, "frames", "image")
    if "frames" in there:
        batch["frames"] = _pad(samples, "frames")
    if "image" in there:
        image = _pad(samples, "image")
        faces = standardise_face(image.flatten(0, 1)[:, None] / 255)
        batch["image"] = faces.reshape(*image.shape[:2], 1, *image.shape[2:])
        batch["landmarks"] = _pad(samples, "landmarks")
    if "sound" in there:
        batch["sound_mask"] = _mask(samples, "sound")
        batch["sound"] = _pad(samples, "sound")
    return batch


def _mask(samples: Sequence[Sample], *names: str) -> Tensor:
    counts = [max(len(sample.features.get(name, ())) for name in names) for sample in samples]
    return torch.arange(max(*counts, 1)) < torch.tensor(counts)[:, None]


def _pad(samples: Sequence[Sample], name: str) -> Tensor:
    like = next(sample.features[name] for sample in samples if name in sample.features)
    one = torch.zeros(1, *like.shape[1:])  # so that there is at least one place
    rows = [sample.features.get(name, one[:0]).float() for sample in samples]
    return pad_sequence([*rows, one], batch_first=True)[:-1]
