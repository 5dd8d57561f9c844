"""What `vidfer.analyze` returns: the predictions for one clip."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from vidfer.api.options import in_keywords
from vidfer.pipeline.store import Place
from vidfer.results.clip_folder import OF_FOLDER
from vidfer.results.design import ClipDesign
from vidfer.results.names import shown
from vidfer.results.pictures import Pictures
from vidfer.results.schema import TABLES
from vidfer.results.tables import Report, build_tables, record, summary_of_nothing
from vidfer.types import SOUND_IS_FINE, ClipError, Status, UsageError, VidferError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from vidfer.api.kept import Crops
    from vidfer.overlay import Blur


@dataclass(frozen=True, eq=False, repr=False)
class ClipResult:
    """The predictions for one clip, as tables and as a summary.

    Tables have the columns and types that docs/reference/columns.md lists, whatever became of the clip. They are not copied:
    copy one before you change it.

    Args:
        summary: What `summary.json` holds: `clip`, `status`, `predominant`, `margin`, `modalities`, `faces`, `sound`,
            `fused`, `people`, `media`, `settings`, `denoise`, `provenance`, `bundle`, `preset`, `models`,
            `tables` (what they were built with), `consent` (of the study, or None), `about` (what the figures mean),
            `analyzed_at`, `elapsed_s`.
        tables: The six tables by name.
        store: Where face images and embeddings are kept.
        pictures: JPEGs of a frame and of each person's faces (`vidfer.results.pictures.Pictures`); not blurred, unless loaded so.
        key: Key of the stored artifact that it was made from, where there is one.

    Example:
        >>> from vidfer import analyze
        >>> result = analyze("missing.mp4")
        >>> result
        <ClipResult missing.mp4: unreadable>
        >>> len(result.frames), result.frames["happy"].dtype
        (0, dtype('float64'))
    """

    summary: dict[str, Any]
    tables: "dict[str, pd.DataFrame]"
    store: Place | None = None
    pictures: Pictures = field(default_factory=Pictures, repr=False)
    key: str | None = field(default=None, repr=False)

    @classmethod
    def failed(
        cls, path: str | Path, error: ClipError, clip_id: str | None = None, design: ClipDesign | None = None
    ) -> "ClipResult":
        """Return the result of a clip that could not even be begun; its tables but `clips` have no rows.

        Example:
            >>> from vidfer import ClipError, ClipResult, Status
            >>> ClipResult.failed("clip.mp4", ClipError(Status.UNREADABLE, "there is no such file"))
            <ClipResult clip.mp4: unreadable>
        """
        of_study = {"tables": record(design=design), "consent": design.consent.record() if design else None}
        summary = {**summary_of_nothing(shown(path), error), **of_study, "analyzed_at": now()}
        called = shown(Path(path).name) if clip_id is None else clip_id
        return cls(summary, build_tables(Report.empty(summary), called, design=design))

    @property
    def clip_id(self) -> str:
        """The clip's name in every table: from Python the file's name, or its place below the folder that was given."""
        return str(self.clips["clip_id"].iloc[0])

    @property
    def status(self) -> Status:
        """What became of the clip; `ok` when its faces were classified."""
        return Status(self.summary["status"])

    @property
    def predominant(self) -> str | None:
        """The clip's predominant displayed expression, `uncertain`, or None without a prediction."""
        value: str | None = self.summary["predominant"]
        return value

    @property
    def margin(self) -> float | None:
        """The probability of the predominant expression less that of the second, in [0, 1]."""
        value: float | None = self.summary["margin"]
        return value

    @property
    def frames(self) -> "pd.DataFrame":
        """A row per sampled time in s and person, gaps included: status, seven probabilities, box in px, quality."""
        return self.tables["frames"]

    @property
    def seconds(self) -> "pd.DataFrame":
        """A row per interval of 1 s, or of the option `grid`, and person: mean probabilities, those of the sound beside."""
        return self.tables["seconds"]

    @property
    def segments(self) -> "pd.DataFrame":
        """A row per time, from `start_s` to `end_s` in s, in which a person shows one expression."""
        return self.tables["segments"]

    @property
    def people(self) -> "pd.DataFrame":
        """A row per person: times in s, predominant expression, distribution, vote shares."""
        return self.tables["people"]

    @property
    def windows(self) -> "pd.DataFrame":
        """A row per window of sound: times in s, status, seven probabilities."""
        return self.tables["windows"]

    @property
    def clips(self) -> "pd.DataFrame":
        """One row: the clip's predominant expression, probabilities, length in s, size in px, warnings."""
        return self.tables["clips"]

    def raise_for_status(self) -> Self:
        """Raise where the clip, or its sound, could not be read without a fault, as `vidfer analyze` then ends with 1.

        Returns:
            This object.

        Raises:
            ClipError: What became of the clip, in `status` and `message`.

        Example:
            >>> import vidfer
            >>> try:
            ...     vidfer.analyze("missing.mp4").raise_for_status()
            ... except vidfer.ClipError as error:
            ...     print(error.status)
            unreadable
        """
        sound = self.summary["sound"]
        for fault, fine in ((self.summary, {Status.OK}), (sound, SOUND_IS_FINE)):
            if fault["status"] not in fine:
                raise ClipError(Status(fault["status"]), f"{self.summary['clip']}: {fault['message']}")
        return self

    def plot(
        self,
        kind: Literal["timeline", "distribution", "embedding"] = "timeline",
        *,
        width: Literal["single", "double"] = "double",
        projection: Literal["pca", "tsne"] = "pca",
    ) -> "Figure":
        """Draw the clip for a publication.

        Args:
            kind: `timeline`, each person's smoothed probabilities over time in s, and those of the sound below, gaps hatched;
                `distribution`, each person's mean probabilities; `embedding`, all face images as the image network sees them.
            width: One or two columns of a journal, 3.5 or 7.2 inches.
            projection: How an embedding gets its two dimensions.

        Returns:
            A figure of matplotlib, which notebooks show, and which `savefig` writes.

        Raises:
            VidferError: No face was read, for kinds other than `timeline`, or the store does not have the embeddings any more.

        Example:
            >>> from vidfer import analyze
            >>> analyze("missing.mp4").plot().savefig("clip.png")
        """
        from vidfer.api.plots import plot_clip

        return plot_clip(self, kind, width, projection)

    def crops(self, person_id: str | None = None) -> "Crops":
        """Read the aligned face images from the store, as they were before any denoising.

        Args:
            person_id: Whose, of table `people`; None for everybody's.

        Returns:
            `images` `(N, 160, 160, 3)` uint8 RGB, `time_s` `(N,)` float64 in s, and `person_id` `(N,)`, ordered by time.

        Raises:
            VidferError: There is no such person, or the store does not have the images any more.

        Example:
            >>> from vidfer import analyze
            >>> images, time_s, person_id = analyze("missing.mp4").crops()
            >>> images.shape
            (0, 160, 160, 3)
        """
        from vidfer.api.kept import read_crops

        return read_crops(self, person_id)

    def embeddings(self, person_id: str | None = None) -> "pd.DataFrame":
        """Read the image model's embeddings of the face images from the store.

        Args:
            person_id: Whose, of table `people`; None for everybody's.

        Returns:
            A row of D float32 numbers for each face image, under its `person_id` and `time_s` in s, ordered by time.

        Raises:
            VidferError: There is no such person, or the store does not have the embeddings any more.

        Example:
            >>> from vidfer import analyze
            >>> analyze("missing.mp4").embeddings().index.names
            FrozenList(['person_id', 'time_s'])
        """
        from vidfer.api.kept import read_embeddings

        return read_embeddings(self, person_id)

    def save(
        self,
        folder: str | Path,
        *,
        excel: bool = False,
        show_faces: bool = False,
        overlay: bool = False,
        blur_faces: "Blur | None" = None,
    ) -> None:
        """Write tables as Parquet and CSV, and the summary, into a folder of this clip's own, as `vidfer analyze` does.

        All files are written or none. In the folder of a run, the clip's place is `clip_id`: `result.save(run / result.clip_id)`.

        Args:
            folder: Made if need be; results of an earlier run there are replaced.
            excel: Begin each CSV with a byte order mark, by which Excel knows UTF-8.
            show_faces: Leave the pictures of people as they are, and do not blur them.
            overlay: Write `overlay.mp4` too, the clip's video with boxes, names and probabilities.
            blur_faces: Whose faces are blurred there: `all`, or those of all `others` than the main person. A face that was
                not found cannot be.

        Raises:
            VidferError: The folder cannot be written, or its disk is full.

        Example:
            >>> from vidfer import analyze
            >>> analyze("missing.mp4").save("results")
        """
        from vidfer.api.folders import write_result
        from vidfer.api.overlays import Overlay
        from vidfer.api.unchanged import Writing

        if blur_faces is not None and not overlay:
            raise UsageError("blur_faces is about the overlay: give overlay=True, too")
        with in_keywords():
            how = Overlay(blur_faces) if overlay else None
            write_result(self, Path(folder), Writing(excel, show_faces), overlay=how)

    def export(
        self, program: Literal["elan", "webvtt", "py-feat"], path: str | Path, *, absolute: bool = False
    ) -> None:
        """Write the clip for another program: see docs/how-to/exchange.md.

        Args:
            program: `elan` for an annotation file of ELAN (.eaf), `webvtt` for captions (.vtt), `py-feat` for a table (.csv)
                that py-feat reads.
            path: The file.
            absolute: Name in a file of ELAN also where on this machine the clip lies, not only where from the file.

        Raises:
            VidferError: The file cannot be written.

        Example:
            >>> from vidfer import analyze
            >>> analyze("missing.mp4").export("webvtt", "missing.vtt")
            >>> open("missing.vtt").readline().strip()
            'WEBVTT'
        """
        from vidfer.exchange.files import write_export

        with in_keywords():
            source = Path(self.summary["clip"])
            write_export(self.tables, self.summary, program, Path(path), source, absolute=absolute)

    @classmethod
    def load(cls, folder: str | Path, *, store: Place | None = None) -> Self:
        """Read what `save` or `vidfer analyze` wrote for one clip; for a whole run see `vidfer.load_run`.

        Args:
            folder: The clip's own folder.
            store: Where face images and embeddings are kept; by default `$VIDFER_STORE` or the user's cache folder.

        Raises:
            VidferError: The folder holds no results of a clip, those of another version, or they are damaged.

        Example:
            >>> from vidfer import ClipResult, analyze
            >>> analyze("missing.mp4").save("results")
            >>> ClipResult.load("results")
            <ClipResult missing.mp4: unreadable>
        """
        from vidfer.results.clip_folder import SUMMARY, FolderError, open_clip

        try:
            found = open_clip(Path(folder))
            tables = {name: found.table(name) for name in TABLES}
            pictures = found.pictures()
        except FolderError as error:
            several = not (Path(folder) / SUMMARY).exists() and (Path(folder) / "clips.parquet").exists()
            raise VidferError(
                f"{folder} holds several clips: vidfer.load_run reads it" if several else f"{folder} {error}"
            ) from error
        summary = {name: value for name, value in found.summary.items() if name not in OF_FOLDER}
        return cls(summary, tables, store, pictures)

    def __repr__(self) -> str:
        return f"<ClipResult {describe(self.summary, self.clip_id)}>"

    def _repr_html_(self) -> str:
        from vidfer.api.html import as_html

        return as_html(self)


def describe(summary: Mapping[str, Any], clip_id: str) -> str:
    """Say in a line what was found: `clip.mp4: happy, margin 0.42 (faces+sound), 2 people`."""
    if summary["predominant"] is None:
        return f"{clip_id}: {summary['status']}"
    status = "" if summary["status"] == Status.OK else f", {summary['status']}"
    people = len(summary["people"])
    seen = f", {people} {'person' if people == 1 else 'people'}" if people else ""
    answer = f"{summary['predominant']}, margin {summary['margin']:.2f} ({'+'.join(summary['modalities'])})"
    return f"{clip_id}: {answer}{seen}{status}"


def now() -> str:
    """Return the time as ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
