"""Stage `audio`: the sound of a clip as openSMILE vectors of short windows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from vidfer.media.audio import read_windows
from vidfer.media.loudness import TARGET
from vidfer.pipeline.stage import Outcome, Progress, Stage, neutral
from vidfer.pipeline.store import Artifact, Draft


@dataclass(frozen=True)
class AudioStage(Stage):
    """Compute the 1582 features of the INTERSPEECH 2010 set for every window, and its share of speech; see `read_windows`.

    Artifact: `windows.safetensors` with `times` (W, 2) float64 in seconds, `vectors` (W, 1582) float32, `silent` (W,) uint8 and
    `voice` (W,) float32, a share in [0, 1]; the vectors of silent windows are zeros and not used. Its facts are the
    recording's `loudness` in LUFS, None if it was not measured or is silent, the `gain` in dB that it got, and `notes`: what
    is to be known of tracks, channels and time stamps.
    """

    name: ClassVar[str] = "audio"
    version: ClassVar[int] = 9
    reads_clip: ClassVar[bool] = True
    apart: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ("av", "opensmile")

    win_dur: float = 2.0
    hop_dur: float = 1.0
    speed: float = 1.0
    vad: bool = True
    loudness: float | None = TARGET
    augment: str = ""
    timeout: float = neutral(120.0)

    def run(self, clip: Path, inputs: Mapping[str, Artifact], draft: Draft, progress: Progress) -> Outcome:
        """Write the windows' vectors."""
        windows = read_windows(
            clip,
            win_dur=self.win_dur,
            hop_dur=self.hop_dur,
            speed=self.speed,
            vad=self.vad,
            loudness=self.loudness,
            augment=self.augment,
            timeout=self.timeout,
            progress=progress,
        )
        if len(windows.times):
            import numpy as np

            silent = np.array([status == "silent" for status in windows.window_status], np.uint8)
            draft.write_arrays(
                "windows.safetensors",
                {"times": windows.times, "vectors": windows.vectors, "silent": silent, "voice": windows.speech},
            )
        facts = {"loudness": windows.loudness, "gain": windows.gain, "notes": windows.notes}
        return Outcome(windows.status, windows.message, facts)
