"""Features of clips computed in several processes before a training reads them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from vidfer.datamodules.features import AS_RECORDED, FeatureOptions, FeatureReader, Variant
from vidfer.datasets.report import LabelledClip
from vidfer.pipeline.runner import StageProgress
from vidfer.pipeline.workers import OnProgress, run_all
from vidfer.types import ClipError


@dataclass(frozen=True)
class FeatureJob:
    """What one worker process computes of a clip: some entries of a `ClipBatch`, the sound in a variant."""

    path: Path
    options: FeatureOptions
    reads: tuple[str, ...]
    variant: Variant = AS_RECORDED

    def __str__(self) -> str:
        return str(self.path)


class ReadsClips(Protocol):
    """A data module that can say which features of clips it will read."""

    def feature_jobs(self) -> list[FeatureJob]:
        """List them."""


def prefetch(
    module: ReadsClips, jobs: int, on_progress: OnProgress = lambda *_: None
) -> list[tuple[FeatureJob, ClipError]]:
    """Compute the features of clips that a data module will read, in so many processes, and keep them in its store.

    Afterwards `setup` finds everything. `on_progress` is called with the number of a job, the stage at work and the share done.

    Returns:
        The jobs whose clip has none of the features, and why.

    Raises:
        VidferError: The store is full, or something else is wrong that is not a clip's fault.
    """
    work = module.feature_jobs()
    done = run_all(_compute, work, jobs, on_progress)
    return [(work[at], result) for at, result in done if isinstance(result, ClipError)]


def _compute(job: FeatureJob, progress: StageProgress) -> dict[str, Any]:
    FeatureReader(job.options, job.reads, job.variant, progress)(job.path)
    return {}


def jobs_of(
    options: FeatureOptions, reads: Iterable[str], clips: Mapping[str, Sequence[LabelledClip]]
) -> list[FeatureJob]:
    """List a job for the faces of every clip, and one for its sound; of training clips one for each variant."""
    wanted = set(reads)
    faces = tuple(sorted(wanted & {"frames", "image"}))
    jobs: list[FeatureJob] = []
    for split, found in clips.items():
        for clip in found:
            if faces:
                jobs.append(FeatureJob(clip.path, options, faces))
            if "sound" in wanted:
                jobs += [FeatureJob(clip.path, options, ("sound",), each) for each in options.variants(split)]
    return jobs
