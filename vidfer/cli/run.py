"""`vidfer run`: bring clips to a stage, or show what that would take."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vidfer.api import shown
from vidfer.cli.analyze import WorkOptions
from vidfer.cli.clip_bars import run_with_bars
from vidfer.cli.display import fault, say, say_where_faces_are_kept
from vidfer.cli.options import POSITIONAL
from vidfer.cli.put import put
from vidfer.media.find import find_clips
from vidfer.pipeline.engines import LocalEngine
from vidfer.pipeline.runner import StageProgress, ancestry, finished, plan
from vidfer.pipeline.store import Store, default_store
from vidfer.results.consent import Consent
from vidfer.results.study import read_consents
from vidfer.stages.chain import ChainOptions, build_chain
from vidfer.types import SOUND_IS_FINE, ClipError, Status

Target = Literal["probe", "faces", "denoise", "finetune", "audio", "classify", "report"]


@dataclass(frozen=True)
class RunOptions:
    """Run the chain up to a stage, or show what is stored already (--dry-run).

    Args:
        target: One of probe, faces, denoise, finetune, audio, classify, report.
        paths: Video files, or folders of them.
        dry_run: Print hit or miss and the key of each stage; run nothing.
    """

    target: Target = field(metadata=POSITIONAL)
    paths: list[Path] = field(metadata=POSITIONAL | {"metavar": "CLIPS"})
    dry_run: bool = False
    work: WorkOptions = field(default_factory=WorkOptions)


def run(options: RunOptions) -> int:
    """Plan or run, and print a line per clip and stage."""
    store = Store(options.work.store or default_store())
    clips = [file for file, _ in find_clips(options.paths, [store.root], say, options.work.chain.picture_fps)]
    work = _RunClip(options.target, options.work.chain, store.place, read_consents({str(clip): clip for clip in clips}))
    if options.dry_run:
        return _dry_run(work, clips)
    say_where_faces_are_kept(store, options.work.store, pictures=options.work.chain.keep_faces)
    return _run(work, clips, options.work.jobs)


@dataclass(frozen=True)
class _RunClip:
    """The work on one clip, in this process or in a worker."""

    target: str
    options: ChainOptions
    store: str
    consents: Mapping[str, Consent]

    def require(self, clip: Path) -> None:
        """Raise ClipError if there is no consent to reading a clip."""
        self.consents.get(str(clip), Consent()).require()

    def __call__(self, clip: Path, progress: StageProgress) -> dict[str, Any]:
        self.require(clip)
        with finished(build_chain(self.options), self.target, clip, Store(self.store), progress) as artifact:
            return {"status": artifact.status, "key": artifact.key, "message": artifact.message}


def _dry_run(work: _RunClip, clips: list[Path]) -> int:
    chain = build_chain(work.options)
    status = 0
    for clip in clips:
        try:
            work.require(clip)
            steps = plan(chain, work.target, clip, Store(work.store))
        except ClipError as error:
            put(f"{shown(clip)}\t{error.status}\t{error.message}")
            status = 1
            continue
        for step in steps:
            state = step.state if step.state == "hit" or step.due else f"{step.state} (not needed)"
            put(f"{shown(clip)}\t{step.stage.name}\t{state}\t{step.key}")
    return status


def _run(work: _RunClip, clips: list[Path], jobs: int) -> int:
    status, fine = 0, SOUND_IS_FINE if work.target == "audio" else {Status.OK}
    stages = [stage.name for stage in ancestry(build_chain(work.options), work.target)]
    for position, done in run_with_bars(work, clips, LocalEngine(jobs), stages):
        if isinstance(done, ClipError):
            done = {"status": done.status, "key": "-", "message": done.message}
        name = shown(clips[position])
        put(f"{name}\t{work.target}\t{done['status']}\t{done['key']}")
        if done["status"] not in fine:
            fault(f"{name}: {done['status']}: {done['message']}")
            status = 1
    return status
