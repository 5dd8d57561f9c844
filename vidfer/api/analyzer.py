"""Analyse clips: the function behind `vidfer analyze` and `vidfer.analyze`."""

from pathlib import Path

from vidfer.api.result import ClipResult, shown
from vidfer.pipeline.runner import StageProgress, finished
from vidfer.pipeline.store import Store, default_store
from vidfer.stages.chain import ChainOptions, build_chain, name_models
from vidfer.types import ClipError


def analyze(
    path: str | Path,
    *,
    options: ChainOptions | None = None,
    store: str | Path | None = None,
    progress: StageProgress | None = None,
) -> ClipResult:
    """Turn a video or sound file into tables of displayed facial expressions.

    A clip that cannot be processed is not an exception: its result says so in `status`.

    Args:
        path: The file.
        options: Sampling, models and rules; by default 5 frames a second and the shipped models on the CPU.
        store: Where computed artifacts are kept and found again; by default `$VIDFER_STORE` or the user's cache folder.
        progress: Called with a stage's name and the share of the clip it has done.

    Raises:
        VidferError: A weights file is missing or unusable, or the store is full or cannot be written.

    Example:
        >>> from vidfer import analyze
        >>> result = analyze("clip.mp4")  # doctest: +SKIP
        >>> result.predominant, result.people  # doctest: +SKIP
    """
    options = options or ChainOptions()
    chain = build_chain(options)
    place = Store(store if store is not None else default_store())
    try:
        with finished(chain, "report", Path(path), place, progress) as report:
            files = {name: (report.path / name).read_bytes() for name in report.names() if name != "summary.json"}
            return ClipResult({"clip": shown(path), **report.json("summary.json"), **name_models(options)}, files)
    except ClipError as error:
        return ClipResult.failed(path, error)
