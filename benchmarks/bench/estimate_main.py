"""What many hours of video would cost: `python benchmarks/scaling_plan.py --hours 1e6 --cores 64 --price 0.04`.

Measured are CPU seconds, bytes and files (benchmarks/scaling.json, benchmarks/bench/baseline.json); machines, network, storage
and prices are what the options say. `--page` writes the tables of docs/scaling.md.
"""

import argparse
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, Final

from .cost import ROOT
from .estimate import Site, Work, estimate, rates
from .estimate_page import page, report
from .figures import Results

MEASURED: Final = ROOT / "benchmarks" / "scaling.json"
BASELINE: Final = ROOT / "benchmarks" / "bench" / "baseline.json"
PAGE: Final = ROOT / "docs" / "scaling.md"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the estimate, or write the page."""
    options = _parser().parse_args(argv)
    measured, baseline = Results.read(MEASURED), Results.read(BASELINE)
    if options.page:
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), measured, baseline), encoding="utf-8")
        return 0
    given = vars(options)
    work = Work(**{each.name: given[each.name] for each in fields(Work)})
    site = Site(**{each.name: given[each.name] for each in fields(Site)})
    known = rates(work, measured, baseline)
    known = replace(known, **{name: given[name] for name in ("busy", "rows") if given[name]})
    print(report(work, site, estimate(work, site, known)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter, conflict_handler="resolve"
    )
    choices: dict[str, Any] = {"height": (360, 720, 1080), "faces": (1, 4)}
    for kind in (Work, Site):
        for each in fields(kind):
            words: dict[str, Any] = {"type": each.type, "choices": choices.get(each.name)}
            if each.type is bool:
                words = {"action": "store_true"}
            parser.add_argument(
                f"--{each.name.replace('_', '-')}", default=each.default, help=kind.HELP[each.name], **words
            )
    parser.add_argument("--busy", type=float, help="CPU seconds where all cores work, over those where they do not")
    parser.add_argument("--rows", type=float, help="rows a second of the driver of a manifest")
    parser.add_argument("--page", action="store_true", help="only write the tables of docs/scaling.md")
    return parser
