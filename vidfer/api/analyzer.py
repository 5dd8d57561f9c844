"""Analyse clips from Python: `vidfer.Analyzer` and `vidfer.analyze`."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self, Unpack

from vidfer.api.elsewhere import StoredWork, result_of
from vidfer.api.named import ClipWork, NamedClip, find_named
from vidfer.api.options import Options, in_keywords, read_options
from vidfer.api.result import ClipResult
from vidfer.pipeline.engines import Engine, LocalEngine
from vidfer.pipeline.paths import is_folder
from vidfer.pipeline.runner import StageProgress
from vidfer.pipeline.store import Place, Store, default_store
from vidfer.pipeline.workers import run_all
from vidfer.results.design import Design, StudyOptions, read_design
from vidfer.results.names import shown
from vidfer.stages.chain import build_chain
from vidfer.types import ClipError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vidfer.api.live import LiveFrame
    from vidfer.api.many import ManifestRun
    from vidfer.media.decode import Frame
    from vidfer.media.record import Frames, Image


class Analyzer:
    """Turns clips, arrays and live frames into displayed facial expressions, by models that are loaded once.

    Threads may share one. As a context manager it ends, when the block does, the child process that reads sound.

    Args:
        store: Folder, or address such as `s3://bucket/prefix`, where computed artifacts are kept and found again; by default
            `$VIDFER_STORE` or the user's cache folder.
        options: What `vidfer analyze` has on the command line, such as `fps=10` (frames looked at per second), `abstain=0.4` (a
            probability), `grid=0.5` (s), `device="cuda"`; see `vidfer.Options`.

    Raises:
        TypeError: There is no such option.
        VidferError: A value is out of range, weights are missing or do not fit each other, or there is no such device.

    Example:
        >>> from vidfer import Analyzer
        >>> with Analyzer(fps=10, abstain=0.4) as analyzer:
        ...     analyzer
        Analyzer(fps=10, abstain=0.4)
    """

    def __init__(self, *, store: Place | None = None, **options: Unpack[Options]) -> None:
        self._given = dict(options) | ({} if store is None else {"store": store})
        self._options, tables, self._study = read_options(options)
        with in_keywords():
            self._options.compute.require()
            build_chain(self._options)  # finds out now, and not at the first clip, whether the weights can be used
            self._store = Store(default_store() if store is None else store)
        self._work = ClipWork(self._options, tables, self._store)

    def __repr__(self) -> str:
        return f"Analyzer({', '.join(f'{name}={value!r}' for name, value in self._given.items())})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child processes that read clips, which all Analyzers of this process share; the next clip starts them anew.

        Example:
            >>> from vidfer import Analyzer
            >>> Analyzer().close()
        """
        from vidfer.media.kept import end_children

        end_children()

    def warm(self) -> Self:
        """Load all models now, so that the first clip or frame takes no longer than the next.

        Returns:
            This object.

        Raises:
            VidferError: Weights are unusable.

        Example:
            >>> from vidfer import Analyzer
            >>> analyzer = Analyzer().warm()
        """
        with in_keywords():
            for stage in build_chain(self._options):
                stage.warm()
        return self

    def analyze(
        self,
        clip: "str | Path | Frames",
        *,
        fps: float | None = None,
        name: str = "frames",
        progress: StageProgress | None = None,
    ) -> ClipResult:
        """Turn a video, a sound file or frames into tables of displayed facial expressions.

        A clip that cannot be processed is not an exception: its result says so, see `ClipResult.raise_for_status`.

        Args:
            clip: A file; with the option `picture_fps` a folder of numbered pictures; an array `(T, H, W, 3)` uint8 RGB, or an
                iterable of images `(H, W, 3)`, both with `fps`; or an iterable of pairs of a time in s and an image. Frames go
                through a lossless temporary file, one at a time.
            fps: The frames' own number per second; how many are looked at is an option of the Analyzer.
            name: What frames are called in the tables.
            progress: Called with a stage's name and the share of the clip that it has done, in [0, 1].

        Raises:
            UsageError: It is a folder of clips; or frames are of another shape or type, or their times do not increase.
            VidferError: A weights file is unusable, or the store is full or cannot be written.

        Example:
            >>> import numpy as np
            >>> from vidfer import Analyzer
            >>> black = np.zeros((5, 48, 64, 3), np.uint8)
            >>> Analyzer(audio_model="none").analyze(black, fps=5).status
            <Status.NO_FACE: 'no_face'>
        """
        with in_keywords():
            if isinstance(clip, str | Path):
                if fps is not None:
                    raise UsageError("a file has its own frame rate: give fps to Analyzer, for how many are looked at")
                path, known = Path(clip), shown(Path(clip).name)
                if is_folder(path) and self._options.picture_fps is None:
                    one = "the option picture_fps makes a folder of numbered pictures one clip"
                    raise UsageError(f"{path} is a folder: analyze_many takes its clips; {one}")
                return self._work.analyze(NamedClip(path, known, self._design({known: path}).of(known)), progress)
            if not isinstance(clip, Iterable):
                raise UsageError(f"a clip is a path, an array (T, H, W, 3) or an iterable of frames, not {clip!r}")
            from vidfer.media.record import recorded

            with recorded(clip, fps=fps) as path:
                return self._work.analyze(NamedClip(path, name, self._design({name: path}).of(name), name), progress)

    def analyze_many(
        self,
        clips: str | Path | Iterable[str | Path],
        *,
        jobs: int = 1,
        engine: Engine | None = None,
        progress: Callable[[int, str, float], None] | None = None,
    ) -> Iterator[ClipResult]:
        """Analyse files and yield their results in the order of the files, each when it and those before are done.

        A clip's fault is its result's status, never an exception. At most `2 * jobs` results are held at once. With several jobs
        each has a process of its own, which loads the models once; a script then needs `if __name__ == "__main__":` around
        its work, as for any use of `multiprocessing`. Closing the generator ends the processes.

        Args:
            clips: Files, and folders, which stand for the clips below them. Clips of one name get different ones in the tables.
            jobs: Clips at once.
            engine: Where they are analysed instead, such as `vidfer.pipeline.engines.RayEngine("auto")`; clips and store have
                to be on a file system that all its machines have by the same path.
            progress: Called with a clip's place in the list, the stage at work, and the share of the clip that it has done.

        Raises:
            UsageError: `jobs` is below 1, or a folder has no clip.
            VidferError: A weights file is unusable, or the store is full or cannot be written.

        Example:
            >>> from vidfer import Analyzer
            >>> [result.status for result in Analyzer().analyze_many(["missing.mp4"])]
            [<Status.UNREADABLE: 'unreadable'>]
        """
        if jobs < 1:
            raise UsageError(f"jobs has to be at least 1, not {jobs}")
        paths = [Path(clips)] if isinstance(clips, str | Path) else [Path(clip) for clip in clips]
        with in_keywords():
            found = find_named(paths, self._store.root, self._options.picture_fps)
            design = self._design(found)
        todo = [NamedClip(path, clip_id, design.of(clip_id)) for clip_id, path in found.items()]
        told = progress or (lambda *_: None)
        return self._results(todo, jobs, told) if engine is None else self._stored(todo, engine, told)

    def analyze_manifest(
        self,
        manifest: str | Path,
        out: str | Path,
        *,
        tables: Sequence[str] = (),
        jobs: int = 1,
        engine: Engine | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> "ManifestRun":
        r"""Analyse the clips that a table names, of which there may be millions, into tables that lie in parts.

        Of each clip there is a row in `out/clips/part-*.parquet`, in the order of the manifest, with the manifest's own further
        columns behind those of table `clips`; pages and folders of clips are not written. Memory does not grow with the number
        of clips. The same call goes on where it was ended: see docs/how-to/many.md. Clips are analysed in processes of their own,
        so that a script needs `if __name__ == "__main__":` around its work.

        Args:
            manifest: CSV in UTF-8, or Parquet, with a column `path` (relative to the file's folder), and perhaps `id`, the clips'
                `clip_id`, by default the path.
            out: Folder of the results.
            tables: Further tables to write, of `frames`, `seconds`, `segments`, `people`, `windows`.
            jobs: Clips at once.
            engine: Where clips are analysed that the store does not have, by default so many processes of this machine.
            progress: Called now and then with the number of clips that are done, and that of all.

        Raises:
            UsageError: The manifest is broken or names an id twice, there is no such table, or options of a study were given.
            VidferError: A weights file is unusable, or the folder or the store cannot be written.

        Example:
            >>> from pathlib import Path
            >>> from vidfer import Analyzer
            >>> _ = Path("clips.csv").write_text("path,id\nmissing.mp4,first\n")
            >>> Analyzer().analyze_manifest("clips.csv", "many").statuses
            {'unreadable': 1}
        """
        from vidfer.api.many import ManifestAnalysis

        with in_keywords():
            if jobs < 1:
                raise UsageError(f"jobs has to be at least 1, not {jobs}")
            if self._study != StudyOptions():
                raise UsageError(
                    "--participants, --markers and --baseline are not for a manifest: it has columns of its own"
                )
            work = LocalEngine(jobs, retries=1) if engine is None else engine
            how = ManifestAnalysis(self._options, self._work.tables, self._store, work, tuple(tables))
            return how.run(Path(manifest), Path(out), progress=progress)

    def _design(self, clips: Mapping[str, Path]) -> Design:
        """Read what the files of a study that were named say of clips, by id; of others only what they say of consent."""
        return read_design(self._study, [], clips, logging.getLogger("vidfer").warning)

    def _results(
        self, clips: "list[NamedClip]", jobs: int, progress: Callable[[int, str, float], None]
    ) -> Iterator[ClipResult]:
        work = replace(self._work, store=self._store.place)  # a store of this process is not sent to others
        with in_keywords(), closing(run_all(work.send, clips, jobs, progress, in_order=True)) as done:
            for position, found in done:
                clip = clips[position]
                if isinstance(found, ClipError):
                    yield ClipResult.failed(clip.path, found, clip.clip_id, clip.design)
                else:
                    yield found["result"]

    def _stored(
        self, clips: list[NamedClip], engine: Engine, progress: Callable[[int, str, float], None]
    ) -> Iterator[ClipResult]:
        """Have an engine fill the store, and make the results of what it then holds."""
        work = StoredWork(self._options, self._work.tables, self._store.place)
        with in_keywords(), closing(engine.run(work, clips, progress, in_order=True)) as done:
            for position, found in done:
                result = result_of(clips[position], found)
                yield self._work.analyze(clips[position], None) if result is None else result

    def stream(self, frames: "Frames | Iterable[Frame]", *, fps: float | None = None) -> "Iterator[LiveFrame]":
        """Answer to each frame as it comes, by the same steps as for the faces of a file; nothing is stored.

        Every frame is looked at. Probabilities are smoothed over the past alone, since the future is not known yet, and persons
        are never pooled. Faces that lie on their side are not looked for: turn the frames.

        Args:
            frames: An iterable, which may have no end, of images `(H, W, 3)` uint8 RGB with `fps`, of pairs of a time in s and an
                image, or of `vidfer.media.decode.Frame`.
            fps: Frames per second of images without times.

        Yields:
            One `LiveFrame` for each frame, before the next frame is asked for.

        Raises:
            UsageError: A frame is of another shape or type, or times do not increase.

        Example:
            >>> import numpy as np
            >>> from vidfer import Analyzer
            >>> black = np.zeros((2, 48, 64, 3), np.uint8)
            >>> [live.people for live in Analyzer().stream(black, fps=5)]
            [(), ()]
        """
        from vidfer.api.live import answer_frames

        with in_keywords():
            return answer_frames(build_chain(self._options), frames, fps)


def analyze(
    clip: "str | Path | NDArray[np.uint8] | Iterable[tuple[float, Image]]",
    *,
    store: Place | None = None,
    progress: StageProgress | None = None,
    **options: Unpack[Options],
) -> ClipResult:
    """Turn a video, a sound file or frames into tables of displayed facial expressions.

    A clip that cannot be processed is not an exception: its result says so in `status`. For many clips, see `Analyzer`.

    Args:
        clip: A file; an array `(T, H, W, 3)` uint8 RGB; or an iterable of pairs of a time in s and an image `(H, W, 3)`.
        store: Folder, or address such as `s3://bucket/prefix`, where computed artifacts are kept and found again; by default
            `$VIDFER_STORE` or the user's cache folder.
        progress: Called with a stage's name and the share of the clip that it has done, in [0, 1].
        options: See `vidfer.Options`. `fps` is the number of frames looked at per second, 5 by default; of an array, which has to
            have it, its own, so that each frame is looked at.

    Raises:
        TypeError: There is no such option.
        VidferError: A value is out of range; weights are missing or unusable; there is no such device; or the store is full or
            cannot be written.

    Example:
        >>> from vidfer import analyze
        >>> result = analyze("clip.mp4", fps=10)
        >>> result.status
        <Status.UNREADABLE: 'unreadable'>
    """
    own = None if isinstance(clip, str | Path) or not hasattr(clip, "shape") else options.get("fps")
    return Analyzer(store=store, **options).analyze(clip, fps=own, progress=progress)
