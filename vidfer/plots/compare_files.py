"""The files of a comparison."""

import re
from pathlib import Path

from vidfer.pipeline.atomic import results_folder, write_atomic
from vidfer.plots.compare import draw_comparison
from vidfer.results.compare import Comparison
from vidfer.results.compare_text import as_csv, as_markdown


def write_comparison(found: Comparison, folder: Path) -> Path:
    """Write means, differences and both in words, and a plot; return what their names begin with.

    `compare_BY.csv` has the means, `compare_BY_differences.csv` the differences, `compare_BY.md` both, `compare_BY.png` and
    `.svg` the plot. A measure other than `probability` stands in the name, so that each is kept.
    """
    measure = "" if found.measure == "probability" else f"_{found.measure}"
    name = re.sub(r"[^\w.-]+", "_", found.by) + measure
    place = folder / f"compare_{name}"
    with results_folder(folder):
        write_atomic(folder / f"{place.name}.csv", as_csv(found.means))
        write_atomic(folder / f"{place.name}_differences.csv", as_csv(found.differences))
        write_atomic(folder / f"{place.name}.md", as_markdown(found).encode())
        draw_comparison(found, place)
    return place
