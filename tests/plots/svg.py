"""What a reader of an SVG finds in it."""

import io
import re
import xml.etree.ElementTree as ET

NAME = "{http://www.w3.org/2000/svg}"


def drawn(figure):
    """Write a figure as SVG and return its root."""
    out = io.BytesIO()
    figure.savefig(out, format="svg")
    return ET.fromstring(out.getvalue())


def texts(root):
    """Return the texts of a drawing, in its order."""
    return ["".join(each.itertext()).strip() for each in root.iter(f"{NAME}text")]


def spilled(figure):
    """Return the texts that reach beyond the page, as matplotlib measures them."""
    import matplotlib.text
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    page = figure.bbox
    found = []
    for each in figure.findobj(matplotlib.text.Text):
        if each.get_visible() and not re.fullmatch(
            r"\W?[\d.]*", each.get_text()
        ):  # numbers of ticks that are not drawn are there, too
            box = each.get_window_extent(canvas.get_renderer())
            if box.x0 < page.x0 - 1 or box.y0 < page.y0 - 1 or box.x1 > page.x1 + 1 or box.y1 > page.y1 + 1:
                found.append(each.get_text())
    return found
