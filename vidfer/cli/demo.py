"""`vidfer demo`: make a short clip and analyse it."""

from dataclasses import dataclass, field
from pathlib import Path

from vidfer.cli.analyze import AnalyzeOptions, WorkOptions
from vidfer.cli.analyze import run as analyze
from vidfer.cli.display import say
from vidfer.cli.put import put
from vidfer.pipeline.atomic import results_folder
from vidfer.results.clip_folder import REPORT


@dataclass(frozen=True)
class DemoOptions:
    """Make a short clip of a bundled portrait, in the public domain, and analyse it.

    Args:
        out: Where the clip and its results go.
        open: Show the report in a browser.
    """

    out: Path = field(default=Path("demo"), metadata={"metavar": "DIR"})
    open: bool = False


def run(options: DemoOptions) -> int:
    """Make the clip unless it is there, and analyse it as `vidfer analyze` does."""
    from vidfer.datasets.synthetic import write_demo_clip

    clip, results = options.out / "astronaut.mp4", options.out / "results"
    if not clip.exists():
        put(f"Making {clip}: 10 s of scikit-image's astronaut portrait, with a synthesised voice ...", flush=True)
        with results_folder(options.out):
            write_demo_clip(clip)
    status = analyze(
        AnalyzeOptions([clip], results, show_faces=True, work=WorkOptions(store=str(options.out / "store")))
    )
    report = results / clip.name / REPORT
    put(f"\nThe report of the clip: {report}")
    if options.open and not show_in_browser(report):
        say(f"no browser was found: open {report} in one")
    return status


def show_in_browser(page: Path) -> bool:
    """Open a page in the user's browser; False where there is none."""
    import webbrowser

    return webbrowser.open(page.resolve().as_uri())
