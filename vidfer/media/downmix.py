"""From the channels of a recording to one."""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from vidfer.types import ClipError, Status

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

_CANCELS: Final = 0.1
"""Power of the mean as a share of what it has of channels that have nothing in common, below which channels cancel out.

Equal channels have as many times that power as there are channels, one channel among silent ones has just that, and two channels
in antiphase have none of it.
"""

_PART: Final = 0.1
"""Share of a recording's power in stretches that cancel out, from which the loudest channel is heard."""

_SCALES: Final = {"u1": (128.0, 128.0), "i2": (0.0, 2.0**15), "i4": (0.0, 2.0**31), "i8": (0.0, 2.0**63)}


class Downmix:
    """The mean of the channels, or where that would cancel the sound or a part of it, the loudest channel of the whole recording.

    What cancels out in places is found in pieces of 0.1 s. The power of channels is counted by layouts of 1, 2, ... channels,
    since a recording may change. The rule says nothing until `decide`, which is to be called when the whole recording went
    through.
    """

    def __init__(self) -> None:
        self._power: dict[int, NDArray[np.float64]] = {}  # of each channel, then of the mean, by the number of channels
        self._cancelled: dict[int, float] = {}  # power of all channels in pieces that cancel out
        self._chosen: dict[int, int] = {}
        self._decided = False

    def mono(self, frame: "AudioFrame") -> NDArray[np.float32]:
        """Return a frame's samples as one channel in [-1, 1] at its own rate: swresample would add channels up.

        Raises:
            ClipError: `invalid_audio`: samples that are not finite.
        """
        data = frame.to_ndarray()
        if not frame.format.is_planar:
            data = data.reshape(-1, frame.layout.nb_channels).T
        zero, full = _SCALES.get(data.dtype.str[1:], (0.0, 1.0))
        chosen = self._chosen.get(len(data))
        heard = data.mean(axis=0, dtype=np.float64) if chosen is None else data[chosen].astype(np.float64)
        heard = (heard - zero) / full
        if not self._decided and len(data) > 1:
            self._count((data.astype(np.float64) - zero) / full, heard, max(1, frame.sample_rate // 10))
        mono: NDArray[np.float32] = heard.astype(np.float32)
        if not np.isfinite(mono).all():
            raise ClipError(Status.INVALID_AUDIO, "the sound holds samples that are not finite numbers")
        return mono

    def decide(self) -> str:
        """Settle the rule by what was heard, and say what is to be known of it: nothing where the mean is used."""
        self._decided = True
        notes = []
        for channels, power in sorted(self._power.items()):
            whole, part = bool(_cancels(power)), self._cancelled.get(channels, 0.0) > _PART * power[:-1].sum()
            if whole or part:
                self._chosen[channels] = loudest = int(power[:-1].argmax())
                out = "cancels out" if whole else "cancels out in places"
                notes.append(f"the mean of its {channels} channels {out}: number {loudest + 1}, the loudest, is heard")
        return "; ".join(notes)

    def _count(self, data: NDArray[np.float64], mean: NDArray[np.float64], size: int) -> None:
        """Add up the power of samples, in pieces of so many."""
        squares = np.square(np.concatenate([data, mean[None]]))
        power = np.add.reduceat(squares, np.arange(0, data.shape[1], size), axis=1)
        cancelled = float(power[:-1, _cancels(power)].sum())
        self._power[len(data)] = self._power.get(len(data), 0.0) + squares.sum(axis=1)
        self._cancelled[len(data)] = self._cancelled.get(len(data), 0.0) + cancelled


def _cancels(power: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether channels cancel out by the power of each and then of their mean, along the first axis."""
    return np.asarray(power[-1] * (len(power) - 1) ** 2 < _CANCELS * power[:-1].sum(axis=0))
