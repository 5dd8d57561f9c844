"""Answers while frames come in, by the same steps as those of a file."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from vidfer.inference.decision import Rules, by_name, face_probabilities, predominant
from vidfer.media.decode import Frame
from vidfer.media.quality import UNUSABLE
from vidfer.media.record import Frames, timed_frames
from vidfer.pipeline.stage import Stage
from vidfer.results.smoothing import REACH, smooth
from vidfer.stages.classify import ClassifyStage
from vidfer.stages.denoise import DenoiseStage
from vidfer.stages.faces import FacesStage, detector, face_table
from vidfer.stages.finetune import ImageStage

if TYPE_CHECKING:
    from vidfer.media.face_stream import FaceFrame

Floats = npt.NDArray[np.floating]
_Stage = TypeVar("_Stage", bound=Stage)


@dataclass(frozen=True)
class LivePerson:
    """One person in one frame of a stream.

    Args:
        person: Number of the person, from 1 in order of appearance.
        box: The face's left, top, right and bottom edge in px.
        probabilities: Of the seven expressions in this face image alone, in [0, 1], sum 1.
        smooth: The same, smoothed over this person's images of the last 0.9 s; None where none of them is usable.
        expression: The most probable of `probabilities`, or `uncertain`.
        smooth_expression: The most probable of `smooth`, `uncertain`, or None.
        weight: How much the image counts by its quality, in (0, 1]; below 0.25 it is hardly usable.
        flaws: What is wrong with the image, the worst first; empty for a good one.

    Example:
        >>> from vidfer import LivePerson
        >>> happy = {"happy": 0.9, "neutral": 0.1}
        >>> LivePerson(1, (10.0, 10.0, 60.0, 70.0), happy, happy, "happy", "happy", weight=0.8).flaws
        ''
    """

    person: int
    box: tuple[float, float, float, float]
    probabilities: Mapping[str, float]
    smooth: Mapping[str, float] | None
    expression: str
    smooth_expression: str | None
    weight: float
    flaws: str = ""


@dataclass(frozen=True)
class LiveFrame:
    """The answer to one frame of a stream.

    Args:
        index: Number of the frame, from 0.
        time_s: Its time in s, as it was given.
        people: Who is seen, in order of their numbers; empty where no face was found.
        latency_s: Seconds from when the frame was there until this answer was.

    Example:
        >>> from vidfer import LiveFrame
        >>> LiveFrame(index=0, time_s=0.0, people=(), latency_s=0.02).people
        ()
    """

    index: int
    time_s: float
    people: tuple[LivePerson, ...]
    latency_s: float


def answer_frames(
    chain: Sequence[Stage], frames: "Frames | Iterable[Frame]", fps: float | None = None
) -> Iterator[LiveFrame]:
    """Yield the answer to each frame before the next one is asked for; see `vidfer.Analyzer.stream`."""
    reader, slot = _FaceReader.of(chain), list[Frame]()
    followed = reader.faces.follow(iter(slot.pop, None), detector(reader.faces.compute))
    for frame in _numbered(frames, fps):
        arrived = time.perf_counter()
        slot.append(frame)
        people = reader.read(next(followed))
        yield LiveFrame(frame.index, frame.pts, people, time.perf_counter() - arrived)


def _numbered(frames: "Frames | Iterable[Frame]", fps: float | None) -> Iterator[Frame]:
    """Give each frame its number and time; one of `vidfer.media.decode` has its own."""
    numbers: list[int] = []

    def pairs() -> Iterator[Any]:
        for number, item in enumerate(frames):
            numbers[:] = [item.index if isinstance(item, Frame) else number]
            yield (item.pts, item.image) if isinstance(item, Frame) else item

    given: Any = frames if isinstance(frames, np.ndarray) else pairs()
    for number, (at, image) in enumerate(timed_frames(given, fps)):
        yield Frame(numbers[0] if numbers else number, at, image)


@dataclass
class _FaceReader:
    """Reads the faces of a frame as the stages do those of a clip."""

    faces: FacesStage
    denoise: DenoiseStage
    image: ImageStage
    rules: Rules
    seen: dict[int, "_Past"] = field(default_factory=dict)

    @classmethod
    def of(cls, chain: Sequence[Stage]) -> "_FaceReader":
        """Take the stages from a chain."""
        faces, denoise, image = _only(chain, FacesStage), _only(chain, DenoiseStage), _only(chain, ImageStage)
        return cls(faces, denoise, image, _only(chain, ClassifyStage).rules)

    def read(self, frame: "FaceFrame") -> tuple[LivePerson, ...]:
        """Classify the faces of one frame."""
        if not frame.faces:
            return ()
        table = face_table([(frame, face) for face in frame.faces])
        crops = np.stack([face.crop for face in frame.faces])
        if self.denoise.denoise and self.denoise.scope == "face":
            noisy = self.denoise.denoise.wants(table["noise_sigma"])
            if noisy.any():
                crops[noisy] = self.denoise.clean(crops[noisy], {name: each[noisy] for name, each in table.items()})
        probabilities = face_probabilities(self.image.predict(crops)[1], self.rules)
        return tuple(
            self._person(face.track, frame.pts, face.box, row, weight, flaws)
            for face, row, weight, flaws in zip(
                frame.faces, probabilities, table["weight"].tolist(), table["flaws"].tolist(), strict=True
            )
        )

    def _person(
        self, track: int, at: float, box: Floats, probabilities: Floats, weight: float, flaws: str
    ) -> LivePerson:
        even = self.seen.setdefault(track, _Past()).add(at, probabilities, weight)
        known = not np.isnan(even).any()
        x0, y0, x1, y1 = box.tolist()
        return LivePerson(
            person=track + 1,
            box=(x0, y0, x1, y1),
            probabilities=by_name(probabilities),
            smooth=by_name(even) if known else None,
            expression=predominant(probabilities, self.rules.abstain)[0],
            smooth_expression=predominant(even, self.rules.abstain)[0] if known else None,
            weight=weight,
            flaws=flaws,
        )


@dataclass
class _Past:
    """The latest face images of one person, as far as smoothing reaches back."""

    rows: list[tuple[float, Floats, float]] = field(default_factory=list)

    def add(self, at: float, probabilities: Floats, weight: float) -> Floats:
        """Take one more face image at `at` s and return its smoothed probabilities `(7,)`, or NaN."""
        self.rows = [row for row in self.rows if at - row[0] <= REACH]
        self.rows.append((at, probabilities, weight if weight >= UNUSABLE else 0.0))
        times, rows, weights = (np.array(column) for column in zip(*self.rows, strict=True))
        return np.asarray(smooth(times, rows, weights)[-1])


def _only(chain: Sequence[Stage], kind: type[_Stage]) -> _Stage:
    return next(stage for stage in chain if isinstance(stage, kind))
