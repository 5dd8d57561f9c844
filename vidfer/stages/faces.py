"""Stage `faces`: from a video to aligned face crops, tracked through time, with quality."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from vidfer.inference.network import CPU, Compute
from vidfer.media.decode import Decoder, Frame
from vidfer.media.face_stream import FaceSettings
from vidfer.media.quality import UNUSABLE, complaint, weigh
from vidfer.pipeline.columns import to_parquet
from vidfer.pipeline.stage import Outcome, Progress, Stage, later, neutral, tool_versions
from vidfer.pipeline.store import Artifact, Draft
from vidfer.results.frames import DARK
from vidfer.results.pictures import POSTER, encode_poster
from vidfer.stages.probe import read_probe
from vidfer.types import ClipError, Status
from vidfer.weights.files import SHIPPED, weights_digest

if TYPE_CHECKING:
    from vidfer.inference.mtcnn import MtcnnDetector
    from vidfer.media.detect import FaceDetector
    from vidfer.media.face_stream import CleanFrame, Face, FaceFrame
    from vidfer.media.turned import SecondLook

DenoiseScope = Literal["face", "frame"]

SHARD = 256
"""Crops a file: what bounds the memory of every stage that reads or writes crops."""

LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
"""Their columns are `<name>_x` and `<name>_y`; left and right are the image's."""


TIMES = ("frame", "time_s", "width", "height", "brightness", "cut")
"""Columns of `times.parquet`."""


@dataclass(frozen=True)
class Denoising:
    """What is denoised, and by which weights."""

    weights: str  # their digest
    threshold: float | None  # estimated sigma, 0-255, above which an image is denoised; None for every image

    def wants(self, sigma: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
        """Say which images to denoise by their noise, of any shape; of unknown noise (NaN) only if all are to be."""
        return np.full(np.shape(sigma), True) if self.threshold is None else np.asarray(sigma > self.threshold)


def denoised_name(shard: str) -> str:
    """Return the name of the file of denoised crops: `rows` (n,) int64 inside the shard, `crops` uint8 (n, 160, 160, 3)."""
    return shard.replace("crops-", "denoised-")


@dataclass(frozen=True)
class FacesStage(Stage):
    """Find, track, align and judge every face of the sampled frames; see `read_frames` and `iter_faces`.

    Where all faces turn out to be turned by 90, 180 or 270 degrees (see `SecondLook`), the clip is read once more, with each
    frame turned so that they are upright; `turned` in `meta` has the degrees clockwise, and the message says so.

    Artifact: `crops-*.safetensors` (`crops`, uint8 (n, 160, 160, 3), n <= 256 each) and `faces.parquet`, a row a crop in
    the same order: `frame`, `time_s`, `track`, `x0 y0 x1 y1` and five landmarks in px of the frame that `read_frames` gives,
    of turned faces too, `score`, `detected`, the quality figures (see `Quality`), the covered shares of eyes and mouth, `weight`
    and `flaws` (see `weigh`). `times.parquet` has a row for every frame looked at, with or without a face: `frame`, `time_s`,
    `width` and `height` in px, `brightness` (95th percentile of its gray levels, 0-255), and `cut`, whether a scene begins
    there. `poster.jpg` is the first frame with a face, or the first of all, see `encode_poster`. `meta` counts `frames`,
    `faces`, and `unusable` faces; where these are nearly all, the message says why.

    With `denoise`, faces are found in denoised frames (the paper's order). `crops` stay those of the frames as they came, at
    the same landmarks; the denoised ones lie beside them (see `denoised_name`), and `frame_sigma` is the noise of the
    frame. Blur, light, what covers the face, and the weight are those of the denoised crop.
    """

    name: ClassVar[str] = "faces"
    version: ClassVar[int] = 13
    inputs: ClassVar[tuple[str, ...]] = ("probe",)
    reads_clip: ClassVar[bool] = True

    fps: float | None = 5.0
    every: int | None = None
    decoder: Decoder = "pyav"
    picture_fps: float | None = None
    settings: FaceSettings = field(default_factory=FaceSettings)
    denoise: Denoising | None = None
    denoise_model: str = neutral("small")
    keep_faces: bool = later(True)
    timeout: float = neutral(120.0)
    compute: Compute = neutral(CPU)

    def tools(self) -> Mapping[str, str | None]:
        """Name the decoder and what finds the faces with their versions, and the weights that see what covers them."""
        decoder = "av" if self.decoder == "pyav" else "decord"
        networks = {name: weights_digest("detector", name) for name in SHIPPED["detector"]}
        tools = tool_versions(decoder, "pillow", "opencv-python-headless")
        return {**tools, **networks, "occlusion": weights_digest("occlusion", "occlusion")}

    def run(self, clip: Path, inputs: Mapping[str, Artifact], draft: Draft, progress: Progress) -> Outcome:
        """Stream the clip's frames and write its faces shard by shard; of a clip that breaks off, those before."""
        from vidfer.media.turned import SecondLook, TurnedDetector

        about = read_probe(inputs["probe"])
        choice = about.video.choice if about.video else ""
        look = SecondLook(detector(self.compute), self.settings.min_score)
        outcome = self._find(clip, look, about.duration, draft, progress)
        if look.turn:
            draft.clear()
            outcome = self._find(
                clip, TurnedDetector(detector(self.compute), look.turn), about.duration, draft, progress
            )
        rotation = about.video.rotation if about.video else None
        notes = [_note(look, outcome, rotation), choice if outcome.status in {Status.OK, Status.NO_FACE} else ""]
        message = "; ".join(filter(None, [outcome.message, *notes]))
        return replace(outcome, message=message, meta={**outcome.meta, "turned": look.turn})

    def warm(self) -> None:
        """Load the face detector, the network of what covers faces, and the denoiser of whole frames if it is used."""
        from vidfer.inference.occlusion import occlusion_model

        detector(self.compute)
        occlusion_model()
        if self.denoise:
            self._frame_cleaner(self.denoise)

    def _find(
        self, clip: Path, finder: "FaceDetector", duration: float | None, draft: Draft, progress: Progress
    ) -> Outcome:
        status, message = Status.OK, ""
        times: list[tuple[Any, ...]] = []
        poster = _Poster()

        def find() -> "Generator[tuple[FaceFrame, Face], None, None]":
            nonlocal status, message
            try:
                with closing(self._face_frames(clip, finder, poster)) as face_frames:
                    for face_frame in face_frames:
                        times.append(
                            (face_frame.index, face_frame.pts, *face_frame.size, face_frame.brightness, face_frame.cut)
                        )
                        poster.choose(face_frame)
                        if duration:
                            progress(min(1.0, face_frame.pts / duration))
                        yield from ((face_frame, face) for face in face_frame.faces)
            except ClipError as error:
                if error.status is not Status.PARTIAL:
                    raise
                status, message = error.status, error.message

        tables: list[dict[str, np.ndarray]] = []
        with closing(find()) as found:
            while shard := list(islice(found, SHARD)):
                tables.append(self._write_shard(draft, f"crops-{len(tables):05}.safetensors", shard))
                del shard  # before the next one is gathered, so that a long clip takes no more memory than a short one
        _write_times(draft, times, poster.jpeg if self.keep_faces else None)
        meta = {"frames": len(times), "faces": sum(len(table["frame"]) for table in tables), "unusable": 0}
        if tables:
            columns = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
            draft.write("faces.parquet", to_parquet(columns))
            meta["unusable"] = int((columns["weight"] < UNUSABLE).sum())
            message = "; ".join(filter(None, [message, complaint(columns["weight"], columns["flaws"].tolist())]))
        elif status is Status.OK:
            status, message = Status.NO_FACE, _nothing_found(times)
        return Outcome(status, message, meta)

    def _write_shard(self, draft: Draft, name: str, faces: "Sequence[tuple[FaceFrame, Face]]") -> dict[str, np.ndarray]:
        """Write the crops of some faces, and those denoised; return their rows of the table as columns."""
        crops, passing = (
            np.stack([face.crop if face.raw is None else face.raw for _, face in faces]),
            not self.keep_faces,
        )
        draft.write_arrays(name, {"crops": crops}, passing=passing)
        denoised = {row: face.crop for row, (_, face) in enumerate(faces) if face.raw is not None}
        if denoised:
            arrays = {"rows": np.array(list(denoised)), "crops": np.stack(list(denoised.values()))}
            draft.write_arrays(denoised_name(name), arrays, passing=passing)
        return face_table(faces)

    def _face_frames(self, clip: Path, finder: "FaceDetector", poster: "_Poster") -> "Generator[FaceFrame, None, None]":
        from vidfer.media.decode import read_frames

        frames = read_frames(
            clip,
            fps=self.fps,
            every=self.every,
            picture_fps=self.picture_fps,
            decoder=self.decoder,
            timeout=self.timeout,
        )
        with closing(frames):
            yield from self.follow(poster.watch(frames), finder)

    def follow(self, frames: "Iterable[Frame]", finder: "FaceDetector") -> "Iterator[FaceFrame]":
        """Yield the tracked faces of each frame, as soon as the frame is there."""
        from vidfer.media.face_stream import iter_faces

        cleaner = self._frame_cleaner(self.denoise) if self.denoise else None
        return iter_faces(frames, finder, self.settings, cleaner)

    def _frame_cleaner(self, denoise: Denoising) -> "CleanFrame":
        from vidfer.inference.denoiser import Denoiser
        from vidfer.inference.network import load_model
        from vidfer.media.quality import noise_sigma

        network = load_model(Denoiser, self.denoise_model, denoise.weights, self.compute)

        def clean(image: np.ndarray) -> tuple[np.ndarray | None, float]:
            sigma = noise_sigma(image)
            return network(image[None])[0] if denoise.wants(np.array(sigma)) else None, sigma

        return clean


def _nothing_found(times: "Sequence[tuple[Any, ...]]") -> str:
    """Say that no face was found in frames, rows of `TIMES`, and that it was too dark for one where it was."""
    dark = sum(row[TIMES.index("brightness")] < DARK for row in times)
    were = (
        ""
        if not dark
        else "; it is too dark for one"
        if dark == len(times)
        else f"; {dark} of them {'is' if dark == 1 else 'are'} too dark"
    )
    return f"no face was found in the {len(times)} frame{'' if len(times) == 1 else 's'} looked at{were}"


def _write_times(draft: Draft, times: "list[tuple[Any, ...]]", poster: bytes | None) -> None:
    if poster:
        draft.write(POSTER, poster)
    if times:
        columns = dict(zip(TIMES, map(np.array, zip(*times, strict=True)), strict=True))
        draft.write("times.parquet", to_parquet(columns))


class _Poster:
    """Chooses the frame that stands for a clip, as the frames pass: the first with a face, or the first of all."""

    def __init__(self) -> None:
        self.jpeg: bytes | None = None
        self._image: np.ndarray | None = None
        self._has_face = False

    def watch(self, frames: "Iterable[Frame]") -> "Iterator[Frame]":
        """Pass frames on."""
        for frame in frames:
            self._image = frame.image
            yield frame

    def choose(self, face_frame: "FaceFrame") -> None:
        """Take the frame that passed last, whose faces these are, if it is better than the one that was chosen."""
        if self._image is None or self._has_face or (self.jpeg and not face_frame.faces):
            return
        self.jpeg, self._has_face = encode_poster(self._image), bool(face_frame.faces)


@lru_cache(maxsize=2)
def detector(compute: Compute = CPU) -> "MtcnnDetector":
    """Load the face detector once for the process."""
    from vidfer.inference.mtcnn import MtcnnDetector

    return MtcnnDetector(compute)


def _note(look: "SecondLook", outcome: Outcome, rotation: int | None) -> str:
    """Say how the faces lay, or may have lain; rotation is that of the file's metadata, in degrees counter-clockwise."""
    posture = {90: "lie on their side", 180: "stand on their head", 270: "lie on their side"}
    if look.turn:
        says = (
            f"despite its rotation metadata of {rotation} degrees" if rotation else "the file has no rotation metadata"
        )
        return f"the faces {posture[look.turn]}: read turned by {look.turn} degrees clockwise; {says}"
    notes = []
    if outcome.status is Status.NO_FACE:
        were = "was" if look.looks == 1 else "were"
        notes.append(f"{look.looks} of them {were} also looked at turned by 90, 180 and 270 degrees")
    turn, seen = look.hint
    if seen:
        notes.append(
            f"in {seen} frames faces seem to {posture[turn]}: if so, turn the clip by {turn} degrees clockwise"
        )
    return "; ".join(notes)


def face_table(faces: "Sequence[tuple[FaceFrame, Face]]") -> dict[str, np.ndarray]:
    """Return the columns of `faces.parquet`, a row for each face with its frame; at least one."""
    from vidfer.inference.occlusion import occlusion_model

    rows = [_row(frame, face) for frame, face in faces]
    table = {column: np.array([row[column] for row in rows]) for column in rows[0]}
    shares = occlusion_model()(np.stack([face.crop for _, face in faces]))
    table["eyes_covered"], table["mouth_covered"] = shares.T
    table["weight"], flaws = weigh(table)
    return {**table, "flaws": np.array(flaws, object)}


def _row(frame: "FaceFrame", face: "Face") -> dict[str, Any]:
    points = [f"{name}_{axis}" for name in LANDMARKS for axis in "xy"]
    return {
        **{"frame": frame.index, "time_s": frame.pts, "track": face.track},
        **dict(zip(("x0", "y0", "x1", "y1"), face.box.tolist(), strict=True)),
        **dict(zip(points, face.landmarks.ravel().tolist(), strict=True)),
        **{"score": face.score, "detected": face.detected, **vars(face.quality)},
        **({} if frame.noise_sigma is None else {"frame_sigma": frame.noise_sigma}),
    }
