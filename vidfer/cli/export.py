"""`vidfer export`: results for other programs."""

from dataclasses import dataclass, field
from pathlib import Path

from vidfer.cli.options import POSITIONAL
from vidfer.cli.put import one_line, put
from vidfer.exchange.files import Format


@dataclass(frozen=True)
class ExportOptions:
    """Write the clips of a run as files of ELAN, WebVTT or py-feat.

    Args:
        run: Folder that `vidfer analyze --out` wrote.
        format: `elan` is an annotation file with a tier for each person, `webvtt` captions of the segments, `py-feat` a table of
            all face images with py-feat's names.
        clip: This clip alone, by its clip_id.
        out: Folder of the files (default: export in the run's folder).
        absolute: Name in files of ELAN also where on this machine the clip lies, not only where from the file.
    """

    run: Path = field(metadata=POSITIONAL | {"metavar": "RUN"})
    format: Format
    clip: str | None = field(default=None, metadata={"metavar": "ID"})
    out: Path | None = field(default=None, metadata={"metavar": "DIR"})
    absolute: bool = False


def run(options: ExportOptions) -> int:
    """Write, and name each file."""
    from vidfer.exchange.files import export_run
    from vidfer.results.run import load_run

    loaded = load_run(options.run)
    for path in export_run(loaded, options.format, options.out, options.clip, absolute=options.absolute):
        put(one_line(path))
    return 0
