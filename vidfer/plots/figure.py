"""Figures without pyplot, which would keep them: their look, and their files."""

import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal
from unicodedata import east_asian_width

from matplotlib import font_manager, rc_context, rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidfer.pipeline.atomic import replacing
from vidfer.types import DISPLAYED

Width = Literal["single", "double"]

WIDTHS: Final[dict[Width, float]] = {"single": 3.5, "double": 7.2}
"""Widths of one and of two columns of a journal, in inches."""

GRAY: Final = "#666666"
BLUE: Final = "#0072B2"
ORANGE: Final = "#D55E00"

DPI: Final = 300
"""Of PNG, as journals ask."""

_OTHER_SCRIPTS: Final = (
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "Source Han Sans", "WenQuanYi Zen Hei", "Hiragino Sans", "PingFang SC"),
    *("Yu Gothic", "Microsoft YaHei", "Malgun Gothic", "Arial Unicode MS", "Noto Sans Devanagari", "Nirmala UI"),
    *("Noto Sans", "Noto Color Emoji"),
)
"""Fonts that are asked for signs which matplotlib's own has not, where they are installed."""

_NOTED: Final = {".png": "Description", ".svg": "Description", ".svgz": "Description", ".pdf": "Subject"}
"""Where files of each kind hold what a figure says of itself."""

_NO_GLYPH: Final = "Glyph .* missing from font"


def look() -> Any:  # noqa: ANN401 - matplotlib types each key
    """Return matplotlib's settings of every figure of results: sizes of fonts in pt, and SVG with texts as texts."""
    installed = set(font_manager.get_font_names())
    return {
        "font.family": ["DejaVu Sans", *(name for name in _OTHER_SCRIPTS if name in installed)],
        **dict.fromkeys(("font.size", "axes.titlesize", "axes.labelsize", "figure.titlesize"), 8),
        **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize", "legend.title_fontsize"), 7),
        **{"axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6, "hatch.linewidth": 0.4},
        **{"axes.spines.top": False, "axes.spines.right": False, "text.parse_math": False},
        **{"figure.facecolor": "white", "savefig.facecolor": "white", "axes.facecolor": "white"},
        **_FILES,
    }


_FILES: Final[Any] = {"svg.hashsalt": "vidfer", "svg.fonttype": "none"}


class ResultFigure(Figure):
    """A figure that notebooks show, and that is drawn with the settings of `look` wherever it is saved."""

    def savefig(self, fname: Any, **options: Any) -> None:  # noqa: ANN401 - matplotlib's own
        """Write the figure as `Figure.savefig` does; PNG, SVG and PDF say in their metadata what is shown."""
        kind = options.get("format") or Path(str(fname)).suffix.lower() or rcParams["savefig.format"]
        if field := _NOTED.get(f".{str(kind).lower().removeprefix('.')}"):
            options["metadata"] = {field: DISPLAYED, **(options.get("metadata") or {})}
        with rc_context(look()):  # ticks are made where they are drawn
            super().savefig(fname, **options)

    def _repr_png_(self) -> bytes:
        out = io.BytesIO()
        self.savefig(out, format="png", dpi=110)
        return out.getvalue()


@contextmanager
def styled(width: Width, height: float) -> Iterator[ResultFigure]:
    """Begin a figure of results, its height in inches, and draw inside the block by the settings of `look`."""
    with rc_context(look()):
        yield ResultFigure(figsize=(WIDTHS[width], height), layout="constrained")


def new_figure(width: float, height: float) -> Figure:
    """Begin a figure of another look, its sides in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def new_panels(
    count: int, columns: int, width: float, height: float, *, sharey: bool = False
) -> "tuple[Figure, list[Axes]]":
    """Begin a figure of so many panels, row by row."""
    figure = new_figure(width, height)
    panels = list(figure.subplots(-(-count // columns), columns, sharey=sharey, squeeze=False).flat)
    for spare in panels[count:]:
        spare.set_axis_off()
    return figure, panels[:count]


def save_figure(figure: Figure, place: Path) -> list[Path]:
    """Write a figure as PNG and as SVG at a path without suffix, the same bytes in every run; return both.

    Figures of results have 300 dots per inch, others, which are larger, 150.
    """
    dpi = DPI if isinstance(figure, ResultFigure) else 150
    written = []
    with warnings.catch_warnings(record=True) as said:
        warnings.filterwarnings("always", _NO_GLYPH)
        for kind, how in (("png", {"dpi": dpi}), ("svg", {"metadata": {"Date": None}})):
            path = place.with_name(f"{place.name}.{kind}")
            with rc_context(_FILES), replacing(path) as part:
                figure.savefig(part, format=kind, **how)
            written.append(path)
    if any(re.match(_NO_GLYPH, str(each.message)) for each in said):
        note = "%s: no installed font has some signs of the names, which are boxes; the SVG beside it has them as text"
        logging.getLogger(__name__).warning(note, written[0])
    return written


def ink_on(colour: str) -> str:
    """Return the colour, black or white, of texts on a ground, by the relative luminance of WCAG 2."""
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return "black" if 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.179 else "white"


def one_line(text: str, columns: int) -> str:
    """Put a text on one line of so many columns; what is too long is left out in its middle."""
    plain = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    if _columns(plain) <= columns:
        return plain
    head, tail = "", ""
    while True:  # from both ends towards the middle
        longer = (plain[: len(head) + 1], tail) if _columns(head) <= _columns(tail) else (head, plain[-len(tail) - 1 :])
        if _columns("".join(longer)) > columns - 1:
            return f"{head}…{tail}"
        head, tail = longer


def _columns(text: str) -> int:
    return sum(2 if east_asian_width(sign) in "WF" else 1 for sign in text)
