"""A clip as a picture: each person's smoothed probabilities over time, and those of the sound."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from vidfer.results.colours import COLOURS
from vidfer.results.schema import SMOOTH
from vidfer.types import EMOTIONS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Floats = npt.NDArray[np.floating]

MOST: Final = 6
"""People that are shown: those seen most."""

_NOTHING: Final = "#FFFFFF"
_HATCH: Final = "////"


class Timeline(Figure):
    """A figure that notebooks show without pyplot, which would keep it, and is not for threads."""

    def _repr_png_(self) -> bytes:
        out = io.BytesIO()
        self.savefig(out, format="png", dpi=110)
        return out.getvalue()


def plot_timeline(tables: "Mapping[str, pd.DataFrame]", title: str = "") -> Figure:
    """Draw a band for each of the `MOST` people seen most, in order of appearance, and one for the sound, over time in s.

    The height of a colour is the expression's probability. Hatching is where no face was read, no speech classified, or
    a marker excludes the time.

    Args:
        tables: Tables `frames`, `people`, `seconds` and `clips` of one clip.
        title: Above all; not parsed as mathematics.
    """
    frames, people, seconds = tables["frames"], tables["people"], tables["seconds"]
    shown = people.nlargest(MOST, "n_faces", keep="first").sort_values("person")
    bands = [(_label(row), *_faces(frames, str(row["person_id"]))) for _, row in shown.iterrows()]
    sound = seconds.drop_duplicates("start_s")
    heard = sound[[f"sound_{name}" for name in EMOTIONS]].to_numpy(float)
    if not np.isnan(heard).all():
        bands.append(("sound", sound["start_s"].to_numpy(float), sound["end_s"].to_numpy(float), heard))
    bands = bands or [("nobody", *_faces(frames, ""))]
    ends = [seconds["end_s"].to_numpy(float), *(stop for _, _, stop, _ in bands)]
    end = float(np.concatenate(ends).max(initial=0.0)) or 1.0
    last = float(np.concatenate([start for _, start, _, _ in bands]).max(initial=0.0))
    length = float(tables["clips"]["duration_s"].max())  # not a number where the file names none
    nothing = "no face, no speech, or excluded" if "excluded" in frames else "no face, or no speech"
    return _draw(bands, min(end, length) if length > last else end, title, len(people), nothing)


def _label(row: "pd.Series[Any]") -> str:
    named = isinstance(row["name"], str)
    return str(row["name"]) if named else f"person {row['person']}"


def _faces(frames: "pd.DataFrame", person: str) -> tuple[Floats, Floats, Floats]:
    """Return start, end `(N,)` in s and smoothed probabilities `(N, 7)` of each frame in which a person was looked for."""
    rows = frames[frames["person_id"] == person]
    times = rows["time_s"].to_numpy(float)
    every = np.unique(frames["time_s"].to_numpy(float))
    step = float(np.median(np.diff(every))) if len(every) > 1 else 1.0
    probabilities = rows[[f"{SMOOTH}{name}" for name in EMOTIONS]].to_numpy(float, copy=True)
    probabilities[(rows["status"] != "face").to_numpy(bool)] = np.nan
    return times, times + step, probabilities


def _draw(
    bands: Sequence[tuple[str, Floats, Floats, Floats]], end: float, title: str, n_people: int, nothing: str
) -> Figure:
    from matplotlib.patches import Patch

    figure = Timeline(figsize=(9, 1.1 + 1.3 * len(bands)), layout="constrained")
    grid = figure.subplots(len(bands), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (label, start, stop, probabilities) in zip(grid, bands, strict=True):
        _band(axes, start, stop, probabilities)
        axes.set(ylim=(0, 1), yticks=(0, 0.5, 1), xlim=(0, end))
        axes.set_ylabel(label, parse_math=False)
    grid[-1].set_xlabel("time in s")
    more = f" ({MOST} of {n_people} people)" if n_people > MOST else ""
    figure.suptitle(title + more, fontsize="medium", parse_math=False)
    keys = [Patch(facecolor=COLOURS[name], label=name) for name in reversed(COLOURS)]
    keys.append(Patch(facecolor=_NOTHING, edgecolor="#999999", hatch=_HATCH, label=nothing))
    figure.legend(handles=keys, loc="outside right center", title="probability of", frameon=False, fontsize="small")
    return figure


def _band(axes: "Axes", start: Floats, stop: Floats, probabilities: Floats) -> None:
    """Stack the probabilities of intervals; where there are none the hatched ground stays visible."""
    axes.set_facecolor(_NOTHING)
    axes.patch.set(hatch=_HATCH, edgecolor="#C8C8C8")
    if not len(start):
        return
    joined = start[1:] - stop[:-1] <= 1e-6 + 0.5 * (stop - start)[:-1]
    stop = np.append(np.where(joined, start[1:], stop[:-1]), stop[-1])
    x = np.stack([start, stop], 1).ravel()
    order = [EMOTIONS.index(name) for name in COLOURS]
    tops = np.repeat(probabilities[:, order].cumsum(axis=1), 2, axis=0)
    known = ~np.isnan(tops[:, 0])
    gaps = np.flatnonzero(np.append(~joined, False)) * 2 + 2
    x, known = np.insert(x, gaps, x[gaps - 1]), np.insert(known, gaps, False)
    tops = np.insert(tops, gaps, 0.0, axis=0)
    below = np.zeros(len(x))
    for name, top in zip(COLOURS, np.nan_to_num(tops).T, strict=True):
        axes.fill_between(x, below, top, where=known, color=COLOURS[name], linewidth=0)
        below = top
