"""A clip as a picture: each person's smoothed probabilities over time, and those of the sound."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from vidfer.plots.figure import GRAY, WIDTHS, Width, ink_on, one_line, styled
from vidfer.results.colours import COLOURS
from vidfer.results.schema import SMOOTH
from vidfer.types import EMOTIONS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.floating]

MOST: Final = 6
"""People that are shown: those seen most."""

_COLUMNS: Final = 1000
"""Intervals of a band that a page can show; longer clips are averaged."""

_NOTHING: Final = "#FFFFFF"
_HATCH: Final = "////"
_STEPS_OF_MINUTES: Final = (0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120)


@dataclass(frozen=True, eq=False)
class _Band:
    """Probabilities `(N, 7)` of the intervals from `start` to `stop` `(N,)` in s; not numbers where there are none."""

    label: str
    start: Floats
    stop: Floats
    probabilities: Floats


def plot_timeline(
    tables: "Mapping[str, pd.DataFrame]",
    title: str = "",
    *,
    cuts: Sequence[float] = (),
    width: Width = "double",
) -> "Figure":
    """Draw a band for each of the `MOST` people seen most, in order of appearance, and one for the sound, over time.

    The height of a colour is the expression's probability. Hatching is where no face was read, no speech classified, or
    a marker excludes the time. Of a long clip, each of a thousand columns is the mean of its time, hatched where less
    than half of it is known.

    Args:
        tables: Tables `frames`, `people`, `seconds` and `clips` of one clip.
        title: Above all; not parsed as mathematics, and shortened where it is too long.
        cuts: Times in s at which scenes begin.
        width: Of one or two columns of a journal.
    """
    frames, people, seconds = tables["frames"], tables["people"], tables["seconds"]
    bands = list(_bands(frames, people, seconds)) or [_faces("nobody", frames, "")]
    end = _end(bands, tables)
    coarse = [_coarse(band, end) if len(band.start) > _COLUMNS else band for band in bands]
    averaged = f"; each column is the mean of {end / _COLUMNS:.2g} s" if coarse != bands else ""
    n_people = people["person_id"].nunique()
    more = f" ({MOST} of {n_people} people, seen most)" if n_people > MOST else ""
    nothing = "no face, no speech, or excluded" if "excluded" in frames else "no face, or no speech"
    columns = 4 if width == "single" else 5
    rows = -(-(len(COLOURS) + 1 + bool(cuts)) // columns)
    with styled(width, 0.75 + 0.16 * rows + 0.72 * len(bands)) as figure:
        grid = figure.subplots(len(bands), 1, sharex=True, squeeze=False)[:, 0]
        room = int(WIDTHS[width] * 13)
        for axes, band in zip(grid, coarse, strict=True):
            _draw(axes, band)
            _name_runs(axes, band, end, 0.16 if width == "single" else 0.08)
            axes.set(ylim=(0, 1), yticks=(0, 0.5, 1), xlim=(0, end))
            axes.set_title(one_line(band.label, room), loc="left", fontsize=7, pad=2)
            for cut in cuts:
                axes.axvline(cut, color="black", linewidth=0.7, linestyle=(0, (1, 1.5)))
        _time_axis(grid[-1], end, averaged, 5 if width == "single" else 10)
        if len(bands) > 1:
            figure.supylabel("probability", fontsize=8)
        else:
            grid[0].set_ylabel("probability")
        figure.suptitle(one_line(title, room - len(more)) + more)
        figure.legend(
            handles=_keys(nothing, bool(cuts)), loc="outside lower center", ncols=columns, frameon=False,
            handlelength=1.4, columnspacing=1.0, fontsize=6.5 if width == "single" else 7,
        )  # fmt: skip
    return figure


def _bands(frames: "pd.DataFrame", people: "pd.DataFrame", seconds: "pd.DataFrame") -> Iterator[_Band]:
    seen = people.groupby("person_id", sort=False).agg({"n_faces": "sum", "person": "min", "person_name": "first"})
    for person_id, row in seen.nlargest(MOST, "n_faces", keep="first").sort_values("person").iterrows():
        yield _faces(_label(row), frames, str(person_id))
    sound = seconds.drop_duplicates("start_s")
    heard = sound[[f"sound_{name}" for name in EMOTIONS]].to_numpy(float)
    if not np.isnan(heard).all():
        yield _Band("sound", sound["start_s"].to_numpy(float), sound["end_s"].to_numpy(float), heard)


def _label(row: "pd.Series[Any]") -> str:
    return row["person_name"] if isinstance(row["person_name"], str) else f"person {row['person']}"


def _faces(label: str, frames: "pd.DataFrame", person: str) -> _Band:
    """Return each sampled time at which a person was looked for, up to the next one."""
    rows = frames[frames["person_id"] == person].drop_duplicates("time_s")
    times = rows["time_s"].to_numpy(float)
    every = np.unique(frames["time_s"].to_numpy(float))
    step = float(np.median(np.diff(every))) if len(every) > 1 else 1.0
    probabilities = rows[[f"{SMOOTH}{name}" for name in EMOTIONS]].to_numpy(float, copy=True)
    probabilities[(rows["status"] != "face").to_numpy(bool)] = np.nan
    return _Band(label, times, times + step, probabilities)


def _end(bands: Sequence[_Band], tables: "Mapping[str, pd.DataFrame]") -> float:
    """Return where the clip ends in s: as the file says, unless there are later frames, or it says nothing."""
    ends = [tables["seconds"]["end_s"].to_numpy(float), *(band.stop for band in bands)]
    end = float(np.concatenate(ends).max(initial=0.0)) or 1.0
    last = float(np.concatenate([band.start for band in bands]).max(initial=0.0))
    length = float(tables["clips"]["duration_s"].max())  # not a number where the file names none
    return min(end, length) if length > last else end


def _coarse(band: _Band, end: float) -> _Band:
    """Average a band in columns of equal width; one of which less than half is known is unknown."""
    edges = np.linspace(0, end, _COLUMNS + 1)
    known = ~np.isnan(band.probabilities[:, 0])
    time = np.clip(band.stop, None, end) - band.start
    at = np.clip(np.digitize((band.start + band.stop) / 2, edges) - 1, 0, _COLUMNS - 1)
    weight = np.where(known, time, 0.0)
    total = np.bincount(at, weight, _COLUMNS)
    parts = [np.bincount(at, weight * np.nan_to_num(column), _COLUMNS) for column in band.probabilities.T]
    means = np.stack(parts, 1) / np.where(total > 0, total, np.nan)[:, None]
    means[total < end / _COLUMNS / 2] = np.nan
    return _Band(band.label, edges[:-1], edges[1:], means)


def _draw(axes: "Axes", band: _Band) -> None:
    """Stack the probabilities of intervals; where there are none the hatched ground stays visible."""
    axes.set_facecolor(_NOTHING)
    axes.patch.set(hatch=_HATCH, edgecolor="#C8C8C8")
    start, stop = band.start, band.stop
    if not len(start):
        return
    joined = start[1:] - stop[:-1] <= 1e-6 + 0.5 * (stop - start)[:-1]
    stop = np.append(np.where(joined, start[1:], stop[:-1]), stop[-1])
    x = np.stack([start, stop], 1).ravel()
    order = [EMOTIONS.index(name) for name in COLOURS]
    tops = np.repeat(band.probabilities[:, order].cumsum(axis=1), 2, axis=0)
    known = ~np.isnan(tops[:, 0])
    gaps = np.flatnonzero(np.append(~joined, False)) * 2 + 2
    x, known = np.insert(x, gaps, x[gaps - 1]), np.insert(known, gaps, False)
    tops = np.insert(tops, gaps, 0.0, axis=0)
    below = np.zeros(len(x))
    for name, top in zip(COLOURS, np.nan_to_num(tops).T, strict=True):
        axes.fill_between(x, below, top, where=known, color=COLOURS[name], linewidth=0)
        below = top


def _name_runs(axes: "Axes", band: _Band, end: float, share: float) -> None:
    """Write an expression's name where it is the most probable one for this share of the time, and more probable than not."""
    known = ~np.isnan(band.probabilities[:, 0])
    top = np.where(known, np.nan_to_num(band.probabilities).argmax(1), -1)
    for run in np.split(np.arange(len(top)), np.flatnonzero(np.diff(top)) + 1):
        if not len(run) or top[run[0]] < 0 or band.stop[run[-1]] - band.start[run[0]] < share * end:
            continue
        name = EMOTIONS[top[run[0]]]
        means = dict(zip(EMOTIONS, band.probabilities[run].mean(0), strict=True))
        names = list(COLOURS)
        below = sum(means[other] for other in names[: names.index(name)])
        if means[name] > 0.5:
            place = (band.start[run[0]] + band.stop[run[-1]]) / 2, below + means[name] / 2
            axes.text(*place, name, ha="center", va="center", fontsize=7, color=ink_on(COLOURS[name]), clip_on=True)


def _time_axis(axes: "Axes", end: float, averaged: str, ticks: int) -> None:
    """Count in seconds, or of a long clip in minutes."""
    if end < 300:
        axes.xaxis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 5, 10]))
        axes.set_xlabel(f"time in s{averaged}")
        return
    step = next((step for step in _STEPS_OF_MINUTES if end / 60 / step <= ticks), end / 60 / ticks)
    axes.xaxis.set_major_locator(MultipleLocator(60 * step))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda second, _: f"{second / 60:g}"))
    axes.set_xlabel(f"time in min{averaged}")


def _keys(nothing: str, cuts: bool) -> list[Patch | Line2D]:
    """Name colours from top to bottom of a band, the hatching, and the lines of cuts."""
    keys: list[Patch | Line2D] = [Patch(facecolor=COLOURS[name], label=name) for name in reversed(COLOURS)]
    keys.append(Patch(facecolor=_NOTHING, edgecolor=GRAY, hatch=_HATCH, linewidth=0.4, label=nothing))
    line = Line2D([], [], color="black", linewidth=0.7, linestyle=(0, (1, 1.5)), label="scene cut")
    return [*keys, line] if cuts else keys
