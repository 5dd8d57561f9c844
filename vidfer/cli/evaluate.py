"""`vidfer evaluate`: measure a model where the truth is known."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidfer.cli.analyze import WorkOptions
from vidfer.cli.display import progress_bar, say
from vidfer.cli.logs import LOG
from vidfer.cli.options import POSITIONAL
from vidfer.cli.put import put, put_json
from vidfer.evaluation.analysed import BundleOptions, bundle_lines, evaluate_clips_by
from vidfer.evaluation.audio import AudioOptions, audio_lines, evaluate_audio
from vidfer.evaluation.clips import Labels, clip_lines, evaluate_clips
from vidfer.evaluation.denoise import DenoiseOptions, denoise_lines, evaluate_denoise
from vidfer.evaluation.folds import FoldOptions, cross_validate_clips, fold_lines
from vidfer.evaluation.image import ImageOptions, evaluate_image, image_lines
from vidfer.evaluation.noise import NoiseOptions, evaluate_noise, noise_lines
from vidfer.evaluation.paired import PairedOptions, evaluate_paired, paired_lines
from vidfer.media.find import find_clips
from vidfer.pipeline.store import Store, default_store
from vidfer.types import DISPLAYED, UsageError

ACTIONS = {
    name: f"vidfer.cli.evaluate.{name}" for name in ("image", "audio", "clip", "clips", "paired", "denoise", "bundle")
}


@dataclass(frozen=True)
class ClipOptions:
    """Predictions for clips whose expression is known.

    --labels ravdess reads the third field of names such as 01-01-05-01-02-01-12.mp4, calm as neutral. --labels name looks for a
    class, or a common form of its name (sadness, surprised, ...), among the words of the file's and its folder's names. Clips
    without a label are named and left out. A clip without a face counts as a mistake of the faces, and so does uncertain; sound
    is counted where there is some. Clips of one person are no independent samples: the interval is too narrow for people at
    large. With --folds PATH is a data set: a folder or CSV file in one of the layouts of docs/reference/data.md, or paired; by
    default the classifier fusion is trained.

    Args:
        paths: Video files, or folders of them.
        labels: Where the truth stands, see above.
        people: With --folds, whose clips of the data set are taken (default: all).
        cross: Cross-validation.
        work: The chain.
    """

    paths: list[Path] = field(metadata=POSITIONAL | {"metavar": "PATH"})
    labels: Labels | None = None
    people: str | None = field(default=None, metadata={"metavar": "A-B,C"})
    cross: FoldOptions = field(default_factory=FoldOptions, metadata=FoldOptions.GROUPS)
    work: WorkOptions = field(default_factory=WorkOptions)


@dataclass(frozen=True)
class NoisyClipOptions:
    """Predictions for clips under added noise, denoised and not.

    Each clip gets a noisy copy (Gaussian noise on every pixel of every frame that is looked at, rounded and clipped to 8 bits,
    the same in every run), and both go through the chain with --denoise off and auto. "same" is the share of the clean clip's
    faces, at --denoise off, with the same prediction in the noisy copy; a face that is not detected there counts as different.
    The faces of one clip are no independent samples, so there is no interval.

    Args:
        paths: Video files, or folders of them.
        how: The noise, and the chain.
        store: Artifacts of earlier runs (default: $VIDFER_STORE, or the user's cache).
    """

    paths: list[Path] = field(metadata=POSITIONAL | {"metavar": "PATH"})
    how: NoiseOptions = field(default_factory=NoiseOptions)
    store: str | None = field(default=None, metadata={"metavar": "DIR|URL"})


def image(options: ImageOptions) -> int:
    """Measure an image model."""
    return _show(evaluate_image(options, _notify), image_lines)


def audio(options: AudioOptions) -> int:
    """Measure or cross-validate an audio model."""
    return _show(evaluate_audio(options, _notify), audio_lines)


def clip(options: ClipOptions) -> int:
    """Measure the whole chain on labelled clips, or cross-validate a classifier of clips."""
    work, cross = options.work, options.cross
    store = Store(work.store or default_store())
    if cross.folds:
        chain = work.chain
        for name, wrong in (("--labels", options.labels), ("--weights", chain.weights)):
            if wrong is not None:
                raise UsageError(f"{name} does not go with --folds, which trains on the data set's own labels")
        if len(options.paths) > 1:
            raise UsageError("--folds takes one data set")
        found = cross_validate_clips(options.paths[0], options.people, cross, chain, store.place, _notify)
        return _show(found, fold_lines)
    cross.require_folds()
    if options.people is not None:
        raise UsageError("--people goes with --folds: name the clips instead")
    if options.labels is None:
        raise UsageError("say where the truth stands: --labels ravdess|name")
    clips = [file for file, _ in find_clips(options.paths, [store.root], say, work.chain.picture_fps)]
    with progress_bar() as progress:
        found = evaluate_clips(clips, options.labels, work.chain, store.place, work.jobs, _notify, progress)
    return _show(found, clip_lines)


def clips(options: NoisyClipOptions) -> int:
    """Measure what noise does to predictions, and what denoising restores."""
    store = Store(options.store or default_store())
    files = [file for file, _ in find_clips(options.paths, [store.root], say)]
    with progress_bar() as progress:
        found = evaluate_noise(files, options.how, store, _notify, progress)
    return _show(found, noise_lines)


def paired(options: PairedOptions) -> int:
    """Measure what fusion brings."""
    return _show(evaluate_paired(options, _notify), paired_lines)


def denoise(options: DenoiseOptions) -> int:
    """Measure a denoiser beside references."""
    with progress_bar() as progress:
        found = evaluate_denoise(options, _notify, progress)
    return _show(found, denoise_lines, about="")


def bundle(options: BundleOptions) -> int:
    """Measure a bundle on labelled clips."""
    with progress_bar() as progress:
        found = evaluate_clips_by(options, _notify, progress)
    return _show(found, bundle_lines)


def _show(found: dict[str, Any], lines: Callable[[Mapping[str, Any]], list[str]], about: str = DISPLAYED) -> int:
    """Print a result for people, then as one line of JSON, both with what the figures are about, if that has to be said."""
    for line in (*lines(found), *([about] if about else [])):
        put(line)
    put_json({"about": about, **found} if about else found)
    return 0


def _notify(line: str) -> None:
    LOG.log(logging.WARNING if line.startswith("WARNING") else logging.INFO, "%s", line)
