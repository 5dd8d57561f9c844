"""Voice activity detection by Silero's network: when someone speaks."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from vidfer.media.silero import CHUNK, START, State, speech_probabilities

SPEECH_SHARE: Final = 0.25
"""Share of a window's time in which someone has to speak for it to count: half a second of two, about two syllables."""

_SPEECH: Final = 0.5  # probability from which a chunk counts as speech, as the network's authors advise
_SOFTER: Final = 0.1  # gain of a second pass, 20 dB softer: the network misses shouting at its full level
_LOUD: Final = 0.05  # peak, as a share of full scale, below which nobody shouts


class SpeechMeter:
    """Measure in what share of any stretch of a stream of samples someone speaks.

    Chunks are counted from the beginning of the stream, and the network has a state, so that the result does not depend on how
    the stream was cut into pieces. Pieces of a second are fastest.
    """

    def __init__(self) -> None:
        self._state = START
        self._rest = np.zeros(0, np.float32)
        self._speaks = bytearray()  # one byte for 32 ms: 3 MB a day

    def add(self, samples: NDArray[np.float32]) -> None:
        """Take mono samples at 16 kHz, in [-1, 1]."""
        waiting = np.concatenate([self._rest, samples])
        whole = len(waiting) - len(waiting) % CHUNK
        speaks, self._state = _speaks(waiting[:whole], self._state)
        self._speaks += speaks
        self._rest = waiting[whole:]

    def share(self, start: int, stop: int) -> float:
        """Return the share in [0, 1] of the whole chunks between two samples, added before, in which someone speaks."""
        chunks = self._speaks[-(-start // CHUNK) : stop // CHUNK]
        return sum(chunks) / len(chunks) if chunks else 0.0

    def softer(self, samples: NDArray[np.float32]) -> float:
        """Return the share in [0, 1] of a stretch, taken by itself and softer, in which someone speaks; 0 if it is not loud."""
        if len(samples) < CHUNK or np.abs(samples).max() < _LOUD:
            return 0.0
        chunks, _ = _speaks(np.float32(_SOFTER) * samples[: len(samples) - len(samples) % CHUNK], START)
        return sum(chunks) / len(chunks)


def _speaks(samples: NDArray[np.float32], state: State) -> tuple[bytes, State]:
    if not len(samples):
        return b"", state
    probabilities, state = speech_probabilities(samples.reshape(-1, CHUNK), state)
    return (probabilities >= _SPEECH).tobytes(), state
