"""Stage `probe`: what a clip's container says of it, read once for all stages."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from vidfer.media.decode import CHILD, AudioInfo, Probe, VideoInfo, probe
from vidfer.pipeline.stage import Outcome, Progress, Stage, neutral
from vidfer.pipeline.store import Artifact, Draft
from vidfer.types import ClipError, Status


@dataclass(frozen=True)
class ProbeStage(Stage):
    """Describe the clip's container and the tracks that are used; see `vidfer.media.decode.probe`.

    Artifact: no file; `meta` has the fields of `Probe`. A clip that cannot be opened is a failure of this stage, which `faces`
    passes on.
    """

    name: ClassVar[str] = "probe"
    version: ClassVar[int] = 3
    reads_clip: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ("av", "pillow")

    picture_fps: float | None = None
    timeout: float = neutral(120.0)

    def run(self, clip: Path, inputs: Mapping[str, Artifact], draft: Draft, progress: Progress) -> Outcome:
        """Probe the clip."""
        return Outcome(meta=asdict(probe(clip, picture_fps=self.picture_fps, timeout=self.timeout)))

    def warm(self) -> None:
        """Start the child that decodes."""
        CHILD.start()


def read_probe(artifact: Artifact) -> Probe:
    """Return what the stage found.

    Raises:
        ClipError: The clip could not be opened: with the stage's status and message.
    """
    if artifact.status is not Status.OK:
        raise ClipError(artifact.status, artifact.message)
    fields = dict(artifact.meta)
    video, audio = fields.pop("video"), fields.pop("audio")
    return Probe(**fields, video=VideoInfo(**video) if video else None, audio=AudioInfo(**audio) if audio else None)
