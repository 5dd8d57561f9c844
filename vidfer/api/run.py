"""A run of earlier, read for a user: what a killed run left undone is done first."""

from pathlib import Path

from vidfer.results import run as kept
from vidfer.results.run import Run


def load_run(folder: str | Path) -> Run:
    """Load the results of an earlier run, also of one that was killed: tables and pages that lack finished clips are made again.

    Args:
        folder: What `--out` named.

    Raises:
        UsageError: There is no such folder, or it holds no results.
        VidferError: The tables have to be made again, and cannot be written.

    Example:
        >>> import vidfer
        >>> vidfer.analyze("missing.mp4").save("run/missing.mp4")
        >>> vidfer.load_run("run").clips["status"].tolist()
        ['unreadable']
    """
    run = kept.load_run(folder)
    if run.made_again:
        from vidfer.pages.run import write_pages

        write_pages(run.folder, run.found)
    return run
