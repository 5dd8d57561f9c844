"""A page of text, tables and figures as Markdown and as HTML that needs no other file, the same bytes for the same content."""

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from vidfer.types import EMOTIONS

Block = tuple[str, str | None]
"""A part of a page: Markdown, and HTML where that is not made of it."""

STYLE: Final = """
:root { color-scheme: light dark; --blue: #0072b2; --line: #8884; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1, h2, h3 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
blockquote { margin: 1rem 0; padding: .1rem 1rem; border-left: 4px solid #d55e00; background: #d55e0018; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
.confusion td, .confusion thead th { text-align: right; padding: .25rem .4rem; }
.confusion td { background: color-mix(in srgb, var(--blue) calc(var(--share) * 70%), transparent); min-width: 2.2rem; }
.row { display: flex; flex-wrap: wrap; gap: 1rem 2rem; margin: 1.5rem 0; }
figure { margin: 0; max-width: 100%; } figure svg { max-width: 100%; height: auto; }
.row figure:last-child { max-width: 20rem; } figcaption { font-size: .9rem; margin-bottom: .5rem; }
@media (max-width: 40rem) {
  th, td { padding: .25rem .35rem; } .confusion { font-size: .8rem; } .confusion thead th { writing-mode: vertical-rl; }
  .confusion td { min-width: 1.8rem; }
}
"""


def pages(title: str, name: str, blocks: Iterable[Block]) -> dict[str, bytes]:
    """Join blocks to `<name>.md` and `<name>.html`."""
    parts = list(blocks)
    body = "\n".join(_html(text) if page is None else page for text, page in parts)
    body = re.sub(r"(\d) to (\d)|\bn = (\d)", lambda found: found[0].replace(" ", "\u00a0"), body)  # kept on one line
    head = (
        '<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>"
    )
    page = f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n'
    return {f"{name}.md": ("\n\n".join(text for text, _ in parts) + "\n").encode(), f"{name}.html": page.encode()}


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Write a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def drawn(
    title: str, counts: Sequence[Sequence[int]], columns: Sequence[str], calibration: Mapping[str, Any] | None
) -> Block:
    """Draw a confusion matrix, cells shaded by their share of the row, and a reliability diagram beside it.

    Columns of `uncertain` and `none` that are empty are left out.
    """
    from vidfer.evaluation.plots import reliability_svg

    used = [at for at, name in enumerate(columns) if name in EMOTIONS or any(row[at] for row in counts)]
    names = [columns[at] for at in used]
    text = table(
        (f"{title}: truth \\ prediction", *names),
        [(name, *(row[at] for at in used)) for name, row in zip(EMOTIONS, counts, strict=True)],
    )
    lines = []
    for name, row in zip(EMOTIONS, counts, strict=True):
        cells = "".join(f'<td style="--share:{row[at] / max(1, sum(row)):.2f}">{row[at]}</td>' for at in used)
        lines.append(f"<tr><th>{name}</th>{cells}</tr>")
    head = "".join(f"<th>{name}</th>" for name in names)
    cells = f"<thead><tr><th></th>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
    matrix = f'<div class="wide"><table class="confusion">{cells}</table></div>'
    figures = [(f"{title}: rows are truths, columns predictions", matrix)]
    if calibration:
        line = f"{title}: ECE {calibration['ece']:.3f} in {calibration['bins']} bins, n = {calibration['n']}"
        figures.append((line, reliability_svg(title, calibration)))
        text += f"\n\n{line}"
    drawn = (f"<figure><figcaption>{escape(line)}</figcaption>{picture}</figure>" for line, picture in figures)
    return text, f'<div class="row">{"".join(drawn)}</div>'


def _html(text: str) -> str:
    from markdown_it import MarkdownIt

    page = str(MarkdownIt("commonmark", {"html": False}).enable("table").render(text))
    return page.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>")
