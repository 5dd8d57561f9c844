"""What a rerun says at its end: a few lines for people, one of JSON for programs."""

from pathlib import Path
from typing import Any

from vidfer.paper.page import Rerun
from vidfer.paper.render import format_value
from vidfer.paper.tables import MODELS, Table


def overview(rerun: Rerun) -> list[str]:
    """Say in a few lines what was measured at the largest size that every table has.

    Args:
        rerun: What was measured.
    """
    width = max(len(f"{table.title}, {table.unit}") for table in rerun.tables)
    lines = [f"{source}" for source in rerun.sources.values()]
    lines.append(
        f"{'measured here, means':{width}} {'n':>5}" + "".join(f"{MODELS[model]:>11}" for model in rerun.models)
    )
    for table in rerun.tables:
        entries = rerun.entries(table)
        size = _largest(rerun, table)
        row = [entry for entry in entries if entry.size == size]
        cells = "".join(f"{'-' if entry.mean is None else format_value(entry.mean, table):>11}" for entry in row)
        lines.append(f"{f'{table.title}, {table.unit}':{width}} {size:>5}{cells}")
    return lines


def _largest(rerun: Rerun, table: Table) -> int:
    """Return the largest size of which a table has a value, or the largest there should be."""
    done = [entry.size for entry in rerun.entries(table) if entry.mean is not None]
    return max(done, default=max(rerun.sizes[table.task]))


def summary(rerun: Rerun, page: Path) -> dict[str, Any]:
    """Return what the last line of the output says.

    Args:
        rerun: What was measured.
        page: Path of `tables.md`.
    """
    missing: dict[str, int] = {}
    for result in rerun.results:
        if result.figures is None:
            missing[result.reason] = missing.get(result.reason, 0) + 1
    largest = {table.number: _largest(rerun, table) for table in rerun.tables}
    return {
        "out": str(page),
        "data": dict(rerun.sources),
        "seeds": rerun.seeds,
        "cells": len(rerun.results),
        "stored": sum(result.stored for result in rerun.results),
        "missing": missing,
        "tables": {
            table.number: {
                "metric": table.key,
                "unit": table.unit,
                "size": largest[table.number],
                "mean": {
                    entry.model: None if entry.mean is None else round(entry.mean, 6)
                    for entry in rerun.entries(table)
                    if entry.size == largest[table.number]
                },
            }
            for table in rerun.tables
        },
    }
