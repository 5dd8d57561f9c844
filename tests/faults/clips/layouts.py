"""The same pictures and sound among other streams, in any order, in several containers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path

import av

from tests.faults.clips import Kind
from tests.faults.film import CODECS, FAST, Film, beeps

FLAGGED = frozenset({"mp4", "mov", "mkv", "webm"})
"""Containers that keep which track is the default: others have the first."""


@dataclass(frozen=True)
class Layout:
    """What a clip holds besides its pictures and sound, and how it is written.

    Attributes:
        order: A letter for each stream: p and P pictures, a and A sound, of which the capital is not the default; d data, s
            subtitles, t an attachment, c a cover.
        late: When in s the streams in capitals, data and subtitles begin; they go on for 3 s.
        interleaved: How much later than pictures, in s, sound is written.
        timecode: Whether the pictures have a track of time code.
        options: The muxer's.
    """

    order: str = "pa"
    late: float = 0.0
    interleaved: float = 0.0
    timecode: bool = False
    options: dict[str, str] = field(default_factory=dict)


def writes(form: str, layout: Layout) -> bool:
    """Whether PyAV can write a layout into a container, so that the default tracks can be told from the others."""
    kinds = set(layout.order)
    if kinds & {"P", "A"} and form not in FLAGGED:
        kinds -= {"P", "A"} if layout.order.lstrip("dstc").lower().startswith(("pa", "ap")) and _last(layout) else set()
    allowed = {
        "mp4": set("pPaAsc"),
        "mov": set("pPaAsc"),
        "mkv": set("pPaAst"),
        "webm": set("pPaAst"),
        "ts": set("pads"),
        "avi": set("pa"),
        "nut": set("pa"),
    }[form]
    return kinds <= allowed and (not layout.timecode or form in {"mov", "mp4"})


def _last(layout: Layout) -> bool:
    """Whether the tracks that are not the default come after those that are."""
    order = layout.order
    return all(order.find(small) < order.find(large) for small, large in ("pP", "aA") if large in order)


def write(folder: Path, form: str, layout: Layout, *, fps: int = 10, count: int = 20) -> Path:
    """Write frames 0 to `count` at `fps`, with a beep in each second."""
    film, (codec, voice) = Film(folder / f"layout.{form}", **layout.options), CODECS[form]
    seconds = max(count / fps, 0.5)
    wave = beeps(seconds, [k + 0.25 for k in range(min(10, int(seconds + 0.5)))])
    late = layout.late
    text = {"mp4": "mov_text", "mov": "mov_text", "webm": "webvtt"}.get(form, "subrip")
    words = b"\0\2hi" if text == "mov_text" else b"hi"

    def pictures() -> None:
        base = Fraction(1, fps) if codec == "mpeg4" else Fraction(1, 1000)
        options = {**FAST, "bf": "0", "g": "10"} if codec == "libx264" else {}
        stream = film.pictures(
            range(count),
            [k / fps for k in range(count)],
            codec=codec,
            base=base,
            rate=fps,
            options=options,
            default=True,
        )
        if layout.timecode:
            stream.metadata["timecode"] = "01:00:00:00"

    def others() -> None:
        numbers, base = range(900, 906), Fraction(1, 2) if codec == "mpeg4" else Fraction(1, 1000)
        film.pictures(
            numbers,
            [late + (k - 900) / 2 for k in numbers],
            codec=codec,
            base=base,
            size=(96, 64),
            rate=2,
            default=False,
        )

    makers: dict[str, Callable[[], object]] = {
        "p": pictures,
        "P": others,
        "a": lambda: film.sound([(0.0, wave)], codec=voice, default=True),
        "A": lambda: film.sound([(late, 0 * wave)], codec=voice, default=False),
        "d": lambda: film.data([(late + k, 0.5, b"\1\2\3") for k in range(4)]),
        "s": lambda: film.raw(text, [(late + k, 0.5, words) for k in range(4)]),
        "t": lambda: film.container.add_attachment("a.ttf", "font/ttf", b"123"),
        "c": film.cover,
    }
    for letter in layout.order:
        makers[letter]()
    sound = [stream.index for stream in film.container.streams if isinstance(stream, av.AudioStream)]
    return film.save(order=lambda time, stream: time + layout.interleaved * (stream in sound))


def _kind(name: str, form: str, layout: Layout, **content: int) -> Kind:
    return Kind(name, partial(write, form=form, layout=layout, **content), "no_face")


ORDERS: Sequence[str] = (
    "pa",
    "ap",
    "pda",
    "dap",
    "spa",
    "aps",
    "tpa",
    "cpa",
    "apc",
    "Ppa",
    "apP",
    "Apa",
    "paA",
    "scAPpa",
    "dspa",
)

KINDS: tuple[Kind, ...] = (
    _kind("layout_sound_first", "mp4", Layout("ap"), fps=2, count=6),
    _kind("layout_timecode", "mov", Layout("pa", timecode=True)),
    _kind("layout_attachment", "mkv", Layout("tsap", late=4.0)),
    _kind("layout_data", "ts", Layout("dap")),
    _kind("layout_cover", "mp4", Layout("cpa")),
    _kind("layout_two_pictures", "mkv", Layout("PpAa")),
    _kind("layout_one_frame", "mp4", Layout("aps"), fps=1, count=1),
    _kind("layout_badly_interleaved", "nut", Layout("pa", interleaved=5.0)),
)
"""Clips of unusual layouts, at least one of each sort."""
