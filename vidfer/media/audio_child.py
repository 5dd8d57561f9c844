"""The child process that turns sound into openSMILE vectors: `python -m vidfer.media.audio_child`."""

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import av
import numpy as np
from numpy.typing import NDArray

from vidfer.limits import MAX_GAP, MAX_SOUND_RATE, MAX_SOUND_SECONDS, MIN_SOUND_RATE
from vidfer.media.audio import RATE
from vidfer.media.child import Emitted, Header, serve
from vidfer.media.container import beyond, both_tracks, choose, open_media, picture_kind
from vidfer.media.downmix import Downmix
from vidfer.media.loudness import BEAT, SILENCE, LoudnessMeter
from vidfer.media.reader import Reader
from vidfer.media.smile import Smile
from vidfer.media.spoil import regroup, spoil
from vidfer.media.timeline import TimeLine
from vidfer.media.vad import SPEECH_SHARE, SpeechMeter
from vidfer.types import ClipError, Status

if TYPE_CHECKING:
    from av.container import InputContainer

_SHORTEST: Final = 0.1  # s; openSMILE's functionals are not numbers any more below 60 ms, or close to it
_GAP: Final = 0.1  # s; less is the writers' rounding
_KEPT: Final = 300.0  # s of sound, 19 MB, that are kept from the measurement to the windows, and not decoded again
_CEILING: Final = 1 - 2**-15  # openSMILE makes 16-bit integers of samples, and louder ones would change their sign


class Windows:
    """Cut a stream of samples into overlapping windows of `size` samples every `hop`, keeping only what the next one needs."""

    def __init__(self, size: int, hop: int) -> None:
        self._size, self._hop = size, hop
        self._buffer = np.zeros(0, np.float32)
        self._start = 0  # of the buffer, in samples from the beginning
        self._next = 0  # start of the next window
        self.total = 0

    def add(self, samples: NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Take samples and yield the windows that are complete now, each with its first sample's number."""
        self._buffer = np.concatenate([self._buffer, samples])
        self.total += len(samples)
        while self.total >= self._next + self._size:
            at = self._next - self._start
            yield self._next, self._buffer[at : at + self._size]
            self._next += self._hop
        keep = min(self._next, self.total - self._size) - self._start  # a last window may reach back from the end
        if keep > 0:
            self._buffer, self._start = self._buffer[keep:], self._start + keep

    def end(self, shortest: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield the last window: the whole of a short clip, or the end of a longer one if half a hop or more is left."""
        if self.total < self._size:
            if self.total >= shortest:
                yield 0, self._buffer
        elif 2 * (self.total - (self._next - self._hop + self._size)) >= self._hop:
            yield self.total - self._size, self._buffer[-self._size :]


class Listener:
    """Sound of an open file as mono samples at 16 kHz, and why it ended early, if it did.

    Pauses between time stamps are filled with silence, so that the samples' numbers are times. The playing `speed` changes
    tempo and pitch together: the samples count as taken at so many times their rate. `mix` makes one channel of several.
    """

    def __init__(self, container: "InputContainer", mix: Downmix, speed: float = 1.0) -> None:
        self._speed, self._mix = speed, mix
        stream, self.choice = choose(container.streams.audio)
        if stream is None:
            raise ClipError(Status.NO_AUDIO, "the file has no sound")
        if not stream.codec_context:
            raise ClipError(Status.UNSUPPORTED, "the sound's codec is not known")
        self.channels = int(stream.codec_context.channels)
        self.line = TimeLine(both_tracks(container))
        self._reader = Reader(container, stream, whole=True, line=self.line)
        self._block = av.AudioFifo()  # the decoder's frames of 20 ms or so, until there is a second of them
        self._kind: tuple[str, str, int] | None = None  # format, channels and rate of what is in it
        self._resampler: av.AudioResampler | None = None
        self._rate = 0
        self._played = 0.0  # seconds since the first sample
        self.offset: float | None = None
        self._offsets: list[tuple[float, float]] = []  # from which moment of the samples on which one counts, in s
        self.damage = ""

    def samples(self) -> Iterator[NDArray[np.float32]]:
        """Yield mono float32 samples in [-1, 1], a second or so at once: mixing and resampling cost Python's work a call."""
        for frame in self._reader.frames():
            if not isinstance(frame, av.AudioFrame) or not frame.samples or not frame.sample_rate:
                continue
            if not MIN_SOUND_RATE <= frame.sample_rate <= MAX_SOUND_RATE:
                rates = f"from {MIN_SOUND_RATE} to {MAX_SOUND_RATE}"
                raise ClipError(Status.UNSUPPORTED, f"sound of {frame.sample_rate} Hz: convert it to a rate {rates}")
            length = frame.samples / frame.sample_rate
            pts = self._reader.clock.time(frame.pts, length)
            if jump := beyond(pts):
                self.damage = jump
                break
            if self.offset is None:
                self._begin(max(pts, 0.0))
            assert self.offset is not None
            gap = pts - self.offset - self._played
            if gap < -max(_GAP, length):  # this time was heard: stamps go back, or advance more slowly than samples
                continue
            yield from self._silence(gap)
            if self._played + length > MAX_SOUND_SECONDS:
                self.damage = f"is longer than {MAX_SOUND_SECONDS / 3600:.0f} h, and what follows is left out"
                break
            self._played += length
            if (kind := (frame.format.name, frame.layout.name, frame.sample_rate)) != self._kind:
                yield from self._unblock()
                self._block, self._kind = av.AudioFifo(), kind
            frame.pts = None  # the queue wants stamps without a gap
            self._block.write(frame)
            if self._block.samples >= frame.sample_rate:
                yield from self._unblock()
        yield from self._flush()
        self.damage = self.damage or self._reader.damage

    def at(self, moment: float) -> float:
        """Return a moment of the samples on the clip's time line, both in s."""
        begun = [offset for start, offset in self._offsets if start <= moment + 1e-6]
        return moment + (begun[-1] if begun else 0.0)

    def _begin(self, offset: float) -> None:
        self.offset = offset
        self._offsets.append((self._played, offset))

    def _silence(self, gap: float) -> Iterator[NDArray[np.float32]]:
        """Yield what fills a pause of so many seconds, in pieces of a second at most."""
        if gap > MAX_GAP and self.offset is not None:
            self.damage = f"jumps by {gap / 3600:.1f} h in its time stamps"
            self._begin(self.offset + gap)
            gap = 0.0
        if gap > _GAP:
            yield from self._flush()
            self._played += gap
            count = round(gap / self._speed * RATE)
            for start in range(0, count, RATE):
                yield np.zeros(min(RATE, count - start), np.float32)

    def _unblock(self) -> Iterator[NDArray[np.float32]]:
        """Yield the sound of the frames that wait."""
        if self._kind is not None and (block := self._block.read()) is not None:
            yield from self._resample(self._mix.mono(block), round(block.sample_rate * self._speed))

    def _resample(self, samples: NDArray[np.float32], rate: int) -> Iterator[NDArray[np.float32]]:
        if rate != self._rate:
            yield from self._drain()
            self._resampler = None if rate == RATE else av.AudioResampler(format="fltp", layout="mono", rate=RATE)
            self._rate = rate
        if self._resampler is None:
            yield samples
            return
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        for out in self._resampler.resample(frame):
            yield out.to_ndarray()[0]

    def _flush(self) -> Iterator[NDArray[np.float32]]:
        yield from self._unblock()
        yield from self._drain()

    def _drain(self) -> Iterator[NDArray[np.float32]]:
        if self._resampler is not None:
            for out in self._resampler.resample(None):
                yield out.to_ndarray()[0]
        self._resampler, self._rate = None, 0  # it takes nothing more once it is flushed


def handle(request: Header) -> Emitted:
    """Answer `{"path", "win_dur", "hop_dur", "speed", "vad", "loudness", "augment"}` with windows and an end.

    With a `loudness`, or several channels, all sound is heard before the windows, so that one gain and one rule for channels is
    known for all; the seconds `measured` so far are told now and then. A long sound is decoded again for windows.
    """
    if picture_kind(request["path"]):
        raise ClipError(Status.NO_AUDIO, "a picture has no sound")
    windows = Windows(round(request["win_dur"] * RATE), round(request["hop_dur"] * RATE))
    meter = SpeechMeter() if request["vad"] else None
    mix, loudness, gain = Downmix(), None, 0.0
    level, kept = yield from _measure(request, mix)
    if note := mix.decide():
        level, kept = yield from _measure(request, mix)
    if level is not None:
        loudness, gain = level.loudness(), level.gain(request["loudness"])
    with ExitStack() as stack:
        if kept is None:
            listener = Listener(stack.enter_context(open_media(request["path"])), mix, request["speed"])
            kept = listener, _heard(listener, request)
        smile = stack.enter_context(Smile(RATE))
        listener, sound = kept
        for start, window in _cut(_amplified(sound, gain), windows, meter):
            begin = listener.at(request["speed"] * start / RATE)
            header, payload = _describe(start, window, meter, smile)
            yield {"start": begin, "stop": begin + request["speed"] * len(window) / RATE, **header}, payload
    if not windows.total and listener.damage:
        raise ClipError(Status.CORRUPT, f"no sound can be decoded: it {listener.damage}")
    notes = "; ".join(filter(None, [listener.choice, note, listener.line.doubt()]))
    facts = {"seconds": windows.total / RATE, "notes": notes, "loudness": loudness, "gain": gain}
    yield {"end": listener.damage, **facts}, None


_Kept = tuple[Listener, Iterator[NDArray[np.float32]]]
"""A listener that has heard a file to its end, and what it heard."""


def _measure(
    request: Header, mix: Downmix
) -> Generator[tuple[Header, memoryview | None], None, tuple[LoudnessMeter | None, _Kept | None]]:
    """Hear the whole sound before it is used, and let `mix` see its channels.

    Returns its loudness if that is wanted, and then the sound itself, unless it is long.
    """
    count, level = 0, None if request["loudness"] is None else LoudnessMeter(RATE)
    pieces: list[NDArray[np.float32]] | None = None if level is None else []
    with open_media(request["path"]) as container:
        listener = Listener(container, mix, request["speed"])
        if level is None and listener.channels < 2:
            return None, None
        for samples in _heard(listener, request) if level else listener.samples():
            if level is not None:
                level.add(samples)
            before, count = count, count + len(samples)
            if pieces is not None:
                pieces.append(samples)
                pieces = pieces if count <= _KEPT * RATE else None
            if count // (BEAT * RATE) > before // (BEAT * RATE):
                yield {"measured": count / RATE}, None
    return level, None if pieces is None else (listener, iter(pieces))


def _heard(listener: Listener, request: Header) -> Iterator[NDArray[np.float32]]:
    """Yield the samples, spoilt if that is asked for, in pieces of a second, for which spectra are fast, and what is left."""
    samples = spoil(listener.samples(), request["augment"], RATE) if request["augment"] else listener.samples()
    return regroup(samples, RATE)


def _amplified(sound: Iterator[NDArray[np.float32]], gain: float) -> Iterator[NDArray[np.float32]]:
    factor = np.float32(10 ** (gain / 20))
    for samples in sound:
        yield samples if gain == 0 else samples * factor


def _cut(
    sound: Iterator[NDArray[np.float32]], windows: Windows, meter: SpeechMeter | None
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    for samples in sound:
        if meter is not None:
            meter.add(samples)
        yield from windows.add(samples)
    yield from windows.end(round(_SHORTEST * RATE))


def _describe(
    start: int, samples: NDArray[np.float32], meter: SpeechMeter | None, smile: Smile
) -> tuple[Header, memoryview | None]:
    """Return a window's share of speech and status, and its vector unless it is silent."""
    if np.abs(samples).max() < SILENCE:
        return {"speech": 0.0, "status": Status.SILENT}, None
    share = 1.0 if meter is None else meter.share(start, start + len(samples))
    if meter is not None and share < SPEECH_SHARE:
        share = max(share, meter.softer(samples))
    vector = smile(np.clip(samples, -1, _CEILING)).data
    return {"speech": share, "status": Status.OK if share >= SPEECH_SHARE else Status.NO_VOICE}, vector


if __name__ == "__main__":
    serve(handle)
