"""Figures of a run: what `vidfer.plot` returns and `vidfer plot` writes."""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from vidfer.api.kept import read_vectors
from vidfer.api.options import in_keywords
from vidfer.api.result import ClipResult, describe
from vidfer.api.run import load_run
from vidfer.pipeline.extras import explained_imports
from vidfer.pipeline.store import Place
from vidfer.results.compare_units import Measure
from vidfer.results.distribution import BY
from vidfer.results.run import Run
from vidfer.results.truth import Modality, own_column
from vidfer.types import UsageError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Kind = Literal["timeline", "distribution", "confusion", "reliability", "embedding"]
Projection = Literal["pca", "tsne"]
Width = Literal["single", "double"]

_USED: Final[dict[str, tuple[Kind, ...]]] = {
    "clip": ("timeline", "distribution", "embedding"),
    "by": ("distribution",),
    "measure": ("distribution",),
    "truth": ("confusion", "reliability"),
    "modality": ("confusion", "reliability"),
    "projection": ("embedding",),
}
"""The kinds of which each option is."""

_ANSWERS: Final[dict[Modality, str]] = {"clip": "Answer of the clip", "faces": "Faces alone", "sound": "Sound alone"}


@dataclass(frozen=True)
class PlotRequest:
    """Which figure of a run is wanted.

    Args:
        kind: `timeline` is each person's probabilities over time, a figure for each clip; `distribution` the mean of each clip,
            person or condition; `confusion` and `reliability` answers beside the truth; `embedding` what the image network sees
            in all face images, in two dimensions.
        clip: This clip alone, by its clip_id, for timeline, distribution and embedding.
        by: What the bars of a distribution are: clip, person, or a column of the clips such as condition (default: clip, of a
            single clip person).
        measure: What a distribution averages: see `vidfer compare --help` (default: probability).
        truth: Column of clips.csv with what each clip shows, one of the seven expressions, for confusion and reliability.
        modality: Whose answer is judged: that of the clip, of its faces alone, or of its sound alone (default: clip).
        projection: How an embedding gets its two dimensions (default: pca).
        width: One or two columns of a journal, 3.5 or 7.2 inches (default: as the kind needs).

    Raises:
        UsageError: An option is not of this kind, or one that it needs is missing.
    """

    kind: Kind
    clip: str | None = field(default=None, metadata={"metavar": "ID"})
    by: str | None = field(default=None, metadata={"metavar": "clip|person|COLUMN"})
    measure: Measure | None = None
    truth: str | None = field(default=None, metadata={"metavar": "COLUMN"})
    modality: Modality | None = None
    projection: Projection | None = None
    width: Width | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.kind not in get_args(Kind):
            raise UsageError(f"--kind '{self.kind}' is none of {', '.join(get_args(Kind))}")
        for each in fields(self):
            kinds = _USED.get(each.name, (self.kind,))
            if getattr(self, each.name) is not None and self.kind not in kinds:
                raise UsageError(f"--{each.name} is of {' and '.join(kinds)}, not of {self.kind}")
        if self.clip is not None and self.by not in (None, *BY):
            raise UsageError(f"--by {self.by} groups clips: leave out --clip")
        if self.kind in _USED["truth"] and self.truth is None:
            raise UsageError(
                f"--kind {self.kind} needs --truth: the column of clips.csv that says what each clip shows"
            )


@explained_imports("vidfer.plot")
def plot(
    run: "Run | str | Path",
    kind: Kind,
    *,
    clip: str | None = None,
    by: str | None = None,
    measure: Measure | None = None,
    truth: str | None = None,
    modality: Modality | None = None,
    projection: Projection | None = None,
    width: Width | None = None,
    store: Place | None = None,
) -> "Figure":
    """Draw a figure of a run, as `vidfer plot` does.

    Args:
        run: A run or its folder.
        kind: `timeline`, `distribution`, `confusion`, `reliability` or `embedding`.
        clip: This clip alone, by its `clip_id`, for `timeline`, `distribution` and `embedding`.
        by: What the bars of a distribution are: `clip`, `person`, or a column of the clips such as `condition`.
        measure: What a distribution averages, as in `vidfer.compare`; by default `probability`, in [0, 1].
        truth: Column of `clips.csv` with what each clip shows, for `confusion` and `reliability`.
        modality: Whose answer is judged: `clip`, `faces` or `sound`.
        projection: How an embedding gets its two dimensions: `pca` or `tsne`.
        width: One or two columns of a journal, 3.5 or 7.2 inches; by default as the kind needs.
        store: Where embeddings are kept; by default `$VIDFER_STORE` or the user's cache folder.

    Returns:
        A figure of matplotlib, which notebooks show, and which `savefig` writes.

    Raises:
        UsageError: An option is not of this kind, or names what the run does not have; a timeline needs `clip` where the run
            has several clips.
        VidferError: The store does not have the embeddings any more.

    Example:
        >>> import vidfer
        >>> vidfer.analyze("missing.mp4").save("run/missing.mp4")
        >>> vidfer.plot("run", "timeline").savefig("missing.png")
    """
    with in_keywords():
        request = PlotRequest(kind, clip, by, measure, truth, modality, projection, width)
        loaded = run if isinstance(run, Run) else load_run(run)
        if kind == "timeline" and request.clip is None and len(loaded.folders) > 1:
            raise UsageError(f"{loaded.folder} has {len(loaded.folders)} clips: --clip names the one to draw")
        return next(draw(loaded, request, store))[1]


def write_plots(run: Run, request: PlotRequest, out: Path | None = None, store: Place | None = None) -> Iterator[Path]:
    """Draw figures of a run, and yield the path of each PNG, beside which lies an SVG.

    Args:
        run: Whose figures.
        request: Which.
        out: Folder of the figures; by default `plots` in the run's folder.
        store: Where embeddings are kept.

    Raises:
        UsageError: The run does not have what the request names.
        VidferError: The folder cannot be written.
    """
    from vidfer.pipeline.atomic import results_folder
    from vidfer.plots.figure import save_figure

    with results_folder(out or run.folder / "plots") as folder:
        for name, figure in draw(run, request, store):
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            yield save_figure(figure, place)[0]


def draw(run: Run, request: PlotRequest, store: Place | None = None) -> "Iterator[tuple[str, Figure]]":
    """Yield figures with their places below a folder, without suffix."""
    ids = list(run.folders) if request.clip is None else [request.clip]
    one = "" if request.clip is None else f"/{request.clip}"
    if request.kind == "timeline":
        for clip_id in ids:
            clip, tables = run.clip(clip_id), run.tables(clip_id)
            if len(ids) > 1 and tables["seconds"].empty:
                logging.getLogger(__name__).warning("%s: no timeline, since nothing of it could be read", clip_id)
                continue
            yield f"timeline/{clip_id}", _timeline(tables, clip.summary, clip_id, request.width)
    elif request.kind == "distribution":
        by, measure = request.by or ("person" if one else "clip"), request.measure or "probability"
        tables = run.tables(ids[0]) if one else {name: getattr(run, name) for name in ("seconds", "clips", "people")}
        if by not in BY:
            tables["clips"] = run.clips.assign(**{by: own_column(run, by, "--by")})
        name = one or f"_{_file(by)}"
        name += "" if measure == "probability" else f"_{measure}"
        yield f"distribution{name}", _distribution(tables, by, measure, request.clip or "", request.width)
    elif request.kind == "embedding":
        folders = [run.clip(clip_id).path for clip_id in ids]
        results = (ClipResult.load(folder, store=store) for folder in folders)
        projection = request.projection or "pca"
        total = int(run.clips.set_index("clip_id")["n_faces"].loc[ids].sum())
        figure = _embedding(results, total, projection, request.clip or "", request.width)
        yield f"embedding{one}_{projection}", figure
    else:
        yield _judged(run, request)


@explained_imports("ClipResult.plot")
def plot_clip(result: ClipResult, kind: str, width: Width, projection: Projection) -> "Figure":
    """Draw a figure of one clip: see `ClipResult.plot`."""
    if kind not in _USED["clip"]:
        raise UsageError(f"kind '{kind}' is none of a clip: {', '.join(_USED['clip'])}")
    if kind == "timeline":
        return _timeline(result.tables, result.summary, result.clip_id, width)
    if kind == "embedding":
        return _embedding([result], int(result.clips["n_faces"].iloc[0]), projection, result.clip_id, width)
    return _distribution(result.tables, "person", "probability", result.clip_id, width)


def _timeline(
    tables: "Mapping[str, pd.DataFrame]", summary: Mapping[str, Any], clip_id: str, width: Width | None
) -> "Figure":
    from vidfer.plots.timeline import plot_timeline

    cuts = summary["media"].get("cuts_s", ())
    return plot_timeline(tables, describe(summary, clip_id), cuts=cuts, width=width or "double")


def _distribution(
    tables: "Mapping[str, pd.DataFrame]", by: str, measure: Measure, clip_id: str, width: Width | None
) -> "Figure":
    from vidfer.plots.distribution import plot_distribution
    from vidfer.results.distribution import distribution

    found = distribution(tables, by, measure)
    for note in found.notes:
        logging.getLogger(__name__).warning("%s", note)
    title = f"Displayed expressions by {by}" + (f": {clip_id}" if clip_id else "")
    return plot_distribution(found, measure, title, width=width or "double")


def _embedding(
    results: Iterable[ClipResult], total: int, projection: Projection, clip_id: str, width: Width | None
) -> "Figure":
    from vidfer.plots.embedding import plot_embedding

    vectors, expressions = read_vectors(results, total)
    return plot_embedding(vectors, expressions, total, projection, clip_id, width=width or "single")


def _judged(run: Run, request: PlotRequest) -> "tuple[str, Figure]":
    from vidfer.plots.agreement import plot_confusion, plot_reliability
    from vidfer.results.truth import judge

    modality, truth = request.modality or "clip", str(request.truth)
    judged = judge(run.clips, own_column(run, truth, "--truth"), modality)
    for label, count in judged.unknown.items():
        text = "%s: '%s' is none of the seven expressions, and left out (%d clip%s)"
        logging.getLogger(__name__).warning(text, truth, label, count, "" if count == 1 else "s")
    title = f"{_ANSWERS[modality]}, truth: {truth}"
    draw_it = plot_confusion if request.kind == "confusion" else plot_reliability
    return f"{request.kind}_{_file(truth)}_{modality}", draw_it(judged, title, width=request.width or "single")


def _file(text: str) -> str:
    """Make a part of a file's name of a column's name."""
    return re.sub(r"[^\w.-]+", "_", text)
