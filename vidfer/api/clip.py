"""The whole chain for one clip: what the command line, its workers, the evaluations and `vidfer.Analyzer` call."""

from pathlib import Path

from vidfer.api.result import ClipResult, shown
from vidfer.pipeline.runner import StageProgress, finished
from vidfer.pipeline.store import Store, default_store
from vidfer.stages.chain import ChainOptions, build_chain, name_models
from vidfer.types import ClipError


def analyze_clip(
    path: str | Path,
    options: ChainOptions | None = None,
    *,
    store: str | Path | Store | None = None,
    progress: StageProgress | None = None,
    name: str | None = None,
) -> ClipResult:
    """Turn a clip into its result; one that cannot be processed has a status that says so.

    Args:
        path: The file.
        options: By default 5 frames a second and the shipped models on the CPU.
        store: By default `$VIDFER_STORE` or the user's cache folder.
        progress: Called with a stage's name and the share of the clip it has done.
        name: What the clip is called instead of its path.

    Raises:
        VidferError: A weights file is missing or unusable, or the store is full or cannot be written.
    """
    options = options or ChainOptions()
    chain, called = build_chain(options), shown(path if name is None else name)
    place = store if isinstance(store, Store) else Store(default_store() if store is None else store)
    try:
        with finished(chain, "report", Path(path), place, progress) as report:
            files = {name: (report.path / name).read_bytes() for name in report.names() if name != "summary.json"}
            return ClipResult({"clip": called, **report.json("summary.json"), **name_models(options)}, files)
    except ClipError as error:
        return ClipResult.failed(called, error)
