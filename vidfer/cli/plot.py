"""`vidfer plot`: figures of a run."""

from dataclasses import dataclass, field
from pathlib import Path

from vidfer.api.plots import PlotRequest
from vidfer.cli.options import POSITIONAL
from vidfer.cli.put import put


@dataclass(frozen=True)
class PlotOptions:
    """Draw figures of a run for a publication, as PNG and SVG.

    Args:
        run: Folder that `vidfer analyze --out` wrote.
        out: Folder of the figures (default: plots in the run's folder).
        store: Folder of stored artifacts, for embedding (default: $VIDFER_STORE, or vidfer/store in the user's cache).
    """

    run: Path = field(metadata=POSITIONAL | {"metavar": "RUN"})
    request: PlotRequest
    out: Path | None = field(default=None, metadata={"metavar": "DIR"})
    store: str | None = field(default=None, metadata={"metavar": "DIR|URL"})


def run(options: PlotOptions) -> int:
    """Draw, and name each file."""
    from vidfer.api.plots import write_plots
    from vidfer.api.run import load_run
    from vidfer.pipeline.extras import require

    require("vidfer plot", "matplotlib")
    for place in write_plots(load_run(options.run), options.request, options.out, options.store):
        put(f"{place} and .svg")
    return 0
