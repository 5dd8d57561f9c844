"""Loudness of a recording, and the one gain that brings it to a wanted loudness."""

import math
from array import array
from typing import Final

import numpy as np
from numpy.typing import NDArray

TARGET: Final = -23.0
"""Loudness in LUFS that recordings are brought to, unless told otherwise: that of broadcasts by EBU R 128."""

SILENCE: Final = 1e-4
"""Peak, as a share of full scale, below which sound is silent: -80 dB, three steps of a 16-bit recording."""

MOST: Final = 50.0
"""Largest gain in dB, so that what is all but silent is not blown up."""

BEAT: Final = 60
"""Seconds of sound after each of which a measurement tells that it goes on."""

_FULL: Final = 1 - 2**-15  # the largest peak after the gain: openSMILE reads 16-bit samples
_STEP: Final = 0.1  # s; blocks of 0.4 s begin every 0.1 s
_STEPS: Final = 4
_SILENT: Final = (
    40.0  # LU below the loudest block, in place of the recommendation's -70 LUFS, which depends on the level
)
_RING: Final = 0.25  # s after which the filters' answer to an impulse is below 1e-15 of its beginning
_GATE: Final = 10.0  # LU below the mean of the blocks that are not silent


class LoudnessMeter:
    """Measure the integrated loudness of a stream of mono samples, by blocks, in bounded memory: 7 MB a day.

    Blocks that are much softer than the others are left out, so that pauses do not count. Other than in the recommendation all
    gates are relative, so that a gain on the recording moves its loudness by as many dB.

    References:
        Recommendation ITU-R BS.1770-5, Algorithms to measure audio programme loudness and true-peak audio level, 2023.
    """

    def __init__(self, rate: int) -> None:
        self._weighting = _impulse_response(_k_weighting(rate), round(_RING * rate))
        self._spectrum = len(self._weighting), np.fft.rfft(self._weighting)
        self._before = np.zeros(len(self._weighting))  # samples that the next ones' weighting needs
        self._size = round(_STEP * rate)
        self._rest = np.zeros(0)
        self._steps = array("d")  # mean square of each step
        self.peak = 0.0

    def add(self, samples: NDArray[np.float32]) -> None:
        """Take samples in [-1, 1]."""
        if not len(samples):
            return
        self.peak = max(self.peak, float(np.abs(samples).max(initial=0.0)))
        waiting = np.concatenate([self._rest, self._weigh(samples)])
        whole = len(waiting) - len(waiting) % self._size
        self._steps.extend(np.square(waiting[:whole]).reshape(-1, self._size).mean(1))
        self._rest = waiting[whole:]

    def _weigh(self, samples: NDArray[np.float32]) -> NDArray[np.float64]:
        """Filter samples by a product of spectra: SciPy would do it as fast, and takes half a second to import."""
        heard = np.concatenate([self._before, samples])
        self._before = heard[len(samples) :]
        if self._spectrum[0] != len(heard):
            self._spectrum = len(heard), np.fft.rfft(self._weighting, len(heard))
        return np.fft.irfft(np.fft.rfft(heard) * self._spectrum[1], len(heard))[len(self._before) :]

    def loudness(self) -> float | None:
        """Return the loudness in LUFS of what was added; of less than a block that of the whole; None of silence."""
        steps = np.array(self._steps)
        if len(steps) >= _STEPS:
            blocks = np.convolve(steps, np.full(_STEPS, 1 / _STEPS), "valid")
        else:
            count = len(steps) * self._size + len(self._rest)
            blocks = np.array([(steps.sum() * self._size + np.square(self._rest).sum()) / max(count, 1)])
        if self.peak < SILENCE or not blocks.max() > 0:
            return None
        blocks = blocks[blocks >= blocks.max() / 10 ** (_SILENT / 10)]
        blocks = blocks[blocks >= blocks.mean() / 10 ** (_GATE / 10)]
        return -0.691 + 10 * math.log10(blocks.mean())

    def gain(self, target: float) -> float:
        """Return the gain in dB that brings the whole to a `target` in LUFS, no more than `MOST` and than its peak allows.

        It is 0 for silence.
        """
        loudness = self.loudness()
        return 0.0 if loudness is None else min(target - loudness, 20 * math.log10(_FULL / self.peak), MOST)


def _k_weighting(rate: int) -> NDArray[np.float64]:
    """Design the recommendation's two filters for a sampling rate in Hz, as second-order sections.

    It gives coefficients for 48 kHz; these are the analogue filters behind them, by the bilinear transform.

    References:
        De Man, Evaluation of implementations of the EBU R128 loudness measurement, AES Convention 145, 2018.
    """
    sections = []
    for shelf, frequency, quality in ((3.999843853973347, 1681.974450955533, 0.7071752369554196),
                                      (None, 38.13547087602444, 0.5003270373238773)):  # fmt: skip
        k = math.tan(math.pi * frequency / rate)
        high, band = (1.0, 0.0) if shelf is None else (10 ** (shelf / 20), 10 ** (shelf / 20 * 0.4996667741545416))
        low, norm = 0.0 if shelf is None else 1.0, 1 + k / quality + k * k
        numerator = [
            high + band * k / quality + low * k * k,
            2 * (low * k * k - high),
            high - band * k / quality + low * k * k,
        ]
        # the recommendation does not divide the high-pass filter's numerator, which is 1, -2, 1
        numerator = [each / norm for each in numerator] if shelf is not None else numerator
        sections.append([*numerator, 1.0, 2 * (k * k - 1) / norm, (1 - k / quality + k * k) / norm])
    return np.array(sections)


def _impulse_response(sections: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Return the first samples of what filters in a row, as second-order sections, make of an impulse."""
    response = [1.0] + [0.0] * (length - 1)
    for b0, b1, b2, _, a1, a2 in sections.tolist():
        first = second = 0.0
        for at, value in enumerate(response):
            response[at] = out = b0 * value + first
            first, second = b1 * value - a1 * out + second, b2 * value - a2 * out
    return np.array(response)
