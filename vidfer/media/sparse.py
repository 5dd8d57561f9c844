"""Decode only what the chosen frames of a video depend on, where the file says for certain what that is."""

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Protocol

import av

from vidfer.media.container import reraise_memory
from vidfer.media.reader import Reader

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet as _Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    Packet = _Packet[Any]

Content = tuple[set[int], bytes]
"""The kinds of a packet's NAL units, none where the codec has no such units, and the parameter sets among them."""

Look = Callable[["Packet"], Content | None]
"""Looks into a packet; None if it is damaged."""

Shown = tuple[int, float, "VideoFrame | None"]
"""A frame's number, its time in s, and itself if it was chosen."""

_CONTAINERS: Final = ("mov", "matroska")
_MOST_PACKETS, _MOST_BYTES = 3000, 64 << 20  # held until the next closed group; of more, every frame is decoded
_SETS: Final = {"h264": {7, 8, 13, 15}, "hevc": {32, 33, 34}}  # NAL units that later pictures need
_IDR: Final = {"h264": {5}, "hevc": {*range(16, 22)}}  # NAL units after which nothing before them is needed


class Chooser(Protocol):
    """What decides, frame after frame, which are wanted; it can be copied."""

    @property
    def every_frame(self) -> bool:
        """Whether all frames are wanted."""

    def take(self, index: int, pts: float) -> bool:
        """Whether frame `index` at `pts` seconds is wanted."""


class SparseReader(Reader):
    """Reads a video of which not every frame is wanted; gives the frames that decoding all of it would give.

    All packets are read, and so all numbers and times are known. They are taken in closed groups: from a picture that begins anew
    to the next one, no packet of the one group being shown among those of another. A group of which no frame is wanted is not
    decoded; in others, pictures that no other refers to are left out unless they are wanted, and so is what follows the last
    wanted one. Where that would not be certain, or the decoder gives something else than was foreseen, the whole group is
    decoded: damaged packets, those without times, times that start anew, parts that an edit list hides. What the decoder makes up
    for a damaged picture, it takes from earlier ones; so the group before a damaged one is decoded first.
    """

    def __init__(self, container: "InputContainer", stream: "VideoStream", chooser: Chooser, **how: Any) -> None:  # noqa: ANN401
        super().__init__(container, stream, whole=True, **how)
        self._chooser, self._codec = chooser, stream.codec_context
        self._look = None if chooser.every_frame else look_into(container, stream)
        self.index = 0
        """The number of frames so far."""
        self.decoded = 0
        """The number of packets so far that were given to the decoder."""
        self._bad = self._in_row = 0
        self._sets = b""  # the parameter sets seen last within packets
        self._last = False  # whether the group at work is the last one
        self._past: list[Packet] = []  # the group before that

    def chosen(self) -> Iterator[Shown]:
        """Yield frames in presentation order: those that were chosen, and of the others at least one of each group, as None."""
        if self._look is None:
            self._last = True
            yield from self._all(self.packets())
        else:
            for closed, group in self._groups(self._look):
                yield from self._needed(closed, self._look) if closed else self._all(group)
                self._past = group if isinstance(group, list) else []
                if self._in_row >= self._patience:
                    break
        self.judge(self._bad)

    def _groups(self, look: Look) -> "Iterator[tuple[list[Packet] | None, Iterable[Packet]]]":
        """Yield groups of packets: closed ones, or None, and all; an open group is joined to what it depends on."""
        packets = self.packets()
        before: list[Packet] = []
        group: list[Packet] = []
        closed, size = False, 0
        for packet in packets:
            if packet.is_keyframe and group:
                if _follows(before, group) and _begins_anew(group[0], look):
                    if before:
                        yield (before if closed and _lasts(before) else None), before
                    before, closed, size = group, True, sum(each.size for each in group)
                else:
                    closed = closed and bool(before) and _goes_on(before, group)
                    before += group
                group = []
            if packet.size:
                group.append(packet)
                size += packet.size
            if len(before) + len(group) > _MOST_PACKETS or size > _MOST_BYTES:
                self._last = True
                yield None, chain(before, group, packets)
                return
        if _follows(before, group) and _begins_anew(group[0], look):
            if before:
                yield (before if closed and _lasts(before) else None), before
            before, closed = group, True
        else:
            closed = closed and _goes_on(before, group)
            before += group
        self._last = True
        yield (before if closed and _lasts(before) and not self.damage else None), before

    def _needed(self, group: "list[Packet]", look: Look) -> Iterator[Shown]:
        """Decode what the wanted frames of a closed group depend on, or all of it if that goes wrong."""
        clock, chooser = copy(self.clock), copy(self._chooser)
        plan: dict[int, tuple[int, float, bool]] = {}
        for number, packet in enumerate(sorted(group, key=lambda each: each.pts or 0), self.index):
            time = clock.time(packet.pts, float((packet.duration or 0) * clock.base))
            plan[packet.pts or 0] = (number, time, chooser.take(number, time))
        wanted = [pts for pts, (_, _, taken) in plan.items() if taken]
        last, end, _ = plan[max(plan)]
        given, chosen = 0, set(wanted)
        if len(plan) == len(group) and self._as_before(group, chosen, look):
            try:
                for frame in self._decode(group, chosen):
                    number, time, taken = plan.pop(frame.pts)  # type: ignore[arg-type] # None is a KeyError
                    if frame.is_corrupt or (taken and frame.pts != wanted[given]):
                        break
                    given += taken
                    yield number, time, frame if taken else None
            except (av.error.FFmpegError, KeyError) as error:
                reraise_memory(error)
            self._codec.skip_frame = "DEFAULT"
            self._codec.flush_buffers()
            if given == len(wanted):
                self.clock, self._chooser, self.index, self._in_row = clock, chooser, last + 1, 0
                yield last, end, None
                return
        self._recall()
        yield from self._all(group, given, since=group[0].pts or 0)

    def _recall(self) -> None:
        """Bring the decoder to where decoding everything would have brought it by now."""
        for packet in self._past:
            try:
                self._codec.decode(packet)
            except av.error.FFmpegError as error:  # it was counted with its group
                reraise_memory(error)

    def _as_before(self, group: "list[Packet]", chosen: set[int], look: Look) -> bool:
        """Whether what the decoder does not see of a group is sound, and changes nothing for later ones."""
        for packet in group:
            content = look(packet)
            if content is None and packet.pts not in chosen:
                return False
            if content and content[1] and content[1] != self._sets:
                self._sets = content[1]
                return False
        return not any(packet.has_sidedata("new_extradata") for packet in group)

    def _decode(self, group: "list[Packet]", wanted: set[int]) -> "Iterator[VideoFrame]":
        last = max((place for place, packet in enumerate(group) if packet.pts in wanted), default=-1)
        if last < 0:
            return
        for packet in group[: last + 1]:
            self._codec.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
            self.decoded += 1
            yield from self._codec.decode(packet)
        yield from self._codec.decode(None)

    def _all(self, packets: "Iterable[Packet]", given: int = 0, since: int | None = None) -> Iterator[Shown]:
        """Decode every packet; so many of the chosen frames were given already, and all of those before a time stamp."""
        for packet in chain(packets, [None]):
            if packet is None and self._last and self.damage:  # the file breaks off, and so do its frames
                break
            if packet is not None and not packet.size:
                continue
            try:
                frames = self._codec.decode(packet)
            except av.error.EOFError:
                continue
            except av.error.FFmpegError as error:
                reraise_memory(error)
                self._in_row, self._bad = self._in_row + 1, self._bad + (self.index > 0)
                if self._in_row >= self._patience:
                    return
                continue
            self._in_row = 0
            self.decoded += packet is not None
            for frame in frames:
                if since is not None and frame.pts is not None and frame.pts < since:
                    continue
                time = self.clock.time(frame.pts, float((frame.duration or 0) * self.clock.base))
                taken = self._chooser.take(self.index, time)
                given -= taken
                yield self.index, time, frame if taken and given < 0 else None
                self.index += 1
        self._codec.flush_buffers()


def look_into(container: "InputContainer", stream: "VideoStream") -> Look | None:
    """Return what looks into the packets of a video; None of one whose packets are not known well enough."""
    codec, extra = stream.codec_context, stream.codec_context.extradata or b""
    interlaced = int(getattr(codec, "field_order", None) or 0) > 1
    if interlaced or not container.format.name.startswith(_CONTAINERS):
        return None
    if codec.name == "vp9":
        return lambda packet: (
            (set(), b"") if bytes(memoryview(packet)[:1]) >= b"\x80" and not packet.is_corrupt else None
        )
    if codec.name == "h264" and len(extra) > 4 and extra[0] == 1:
        return lambda packet: _units(packet, (extra[4] & 3) + 1, lambda byte: byte & 31, _SETS["h264"])
    if codec.name == "hevc" and len(extra) > 21 and extra[0] == 1:
        return lambda packet: _units(packet, (extra[21] & 3) + 1, lambda byte: byte >> 1 & 63, _SETS["hevc"])
    return None


def _units(packet: "Packet", width: int, kind: Callable[[int], int], sets: set[int]) -> Content | None:
    """Look into a packet of NAL units, each with its length of `width` bytes in front."""
    data, at, kinds, found = memoryview(packet), 0, set(), b""
    while at < len(data):
        length = int.from_bytes(data[at : at + width])
        start, at = at + width, at + width + length
        if not length or at > len(data) or (first := data[start]) & 0x80:
            return None
        kinds.add(kind(first))
        if kind(first) in sets:
            found += data[start:at]
    return None if packet.is_corrupt else (kinds, found)


def _begins_anew(packet: "Packet", look: Look) -> bool:
    content, needed = look(packet), _IDR.get(packet.stream.codec_context.name)
    return packet.is_keyframe and content is not None and (needed is None or bool(content[0] & needed))


def _follows(before: "list[Packet]", group: "list[Packet]") -> bool:
    """Whether a group is shown as a whole after what comes before, and its first packet first."""
    if not group or any(packet.pts is None for packet in [*before, *group]):
        return False
    shown = [packet.pts or 0 for packet in group]
    return min(shown) == shown[0] and all(shown[0] > (packet.pts or 0) for packet in before)


def _goes_on(before: "list[Packet]", group: "list[Packet]") -> bool:
    """Whether a group may be shown partly among what comes before, as after an open key frame, but times do not start anew."""
    key = max((packet.pts or 0 for packet in before if packet.is_keyframe), default=0)
    return all(packet.pts is not None and packet.pts > key for packet in group)


def _lasts(group: "list[Packet]") -> bool:
    """Whether every packet of a group is shown, once, at a time that may be true: no order that ignores reordering."""
    if any(packet.pts is None or packet.is_discard for packet in group):
        return False
    reordered = len(group) > 1 and group[0].stream.codec_context.has_b_frames
    return not reordered or any(packet.pts != packet.dts for packet in group)
