"""From cells to what stands in the tables: means over seeds, with intervals."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vidfer.paper.cells import Result
from vidfer.paper.reported import reported
from vidfer.paper.tables import Table
from vidfer.types import VidferError


@dataclass(frozen=True)
class Entry:
    """One place of one table.

    Args:
        table: The table.
        model: Its column.
        size: Its row: number of training samples.
        values: What each seed measured, in the table's unit.
        low: Lower end of the mean's 95 % interval; None with fewer than two seeds. It may lie below `table.low`.
        high: Upper end.
        n_test: Number of test samples; a range where cells differ.
        data: What was tested on.
        reasons: Why seeds are missing.
        paper: What the paper reports, as printed there; empty where it reports nothing.
    """

    table: Table
    model: str
    size: int
    values: tuple[float, ...]
    low: float | None
    high: float | None
    n_test: str
    data: str
    reasons: tuple[str, ...]
    paper: str

    @property
    def mean(self) -> float | None:
        """The mean over seeds; None without any."""
        return sum(self.values) / len(self.values) if self.values else None

    @property
    def shown(self) -> tuple[float, float] | None:
        """The interval as it is printed and drawn: without what cannot be, such as shares above 100 %."""
        if self.low is None or self.high is None:
            return None
        low, high = self.table.low, self.table.high
        return (
            self.low if low is None else max(low, self.low),
            self.high if high is None else min(high, self.high),
        )


def mean_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Compute the 95 % interval of a mean by Student's t with n - 1 degrees of freedom.

    It supposes that the values are normally distributed and independent.

    Args:
        values: One for each seed.

    Returns:
        Lower and upper end; None with fewer than two values, which say nothing about their spread.

    References:
        Student: The probable error of a mean. Biometrika 1908.

    Example:
        >>> low, high = mean_interval([1.0, 2.0, 3.0])
        >>> round(low, 2), round(high, 2)
        (-0.48, 4.48)
    """
    from scipy.special import stdtrit

    n = len(values)
    if n < 2:
        return None
    mean = sum(values) / n
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1))
    spread = float(stdtrit(n - 1, 0.975)) * deviation / math.sqrt(n)
    return mean - spread, mean + spread


def fill_table(table: Table, results: Iterable[Result], models: Sequence[str], sizes: Sequence[int]) -> list[Entry]:
    """Fill a table from cells.

    Args:
        table: Which one.
        results: Cells of any task.
        models: Its columns.
        sizes: Its rows.

    Returns:
        An entry for each place, row by row.

    Raises:
        VidferError: A cell lacks the table's figure.
    """
    places: dict[tuple[int, str], list[Result]] = {(size, model): [] for size in sizes for model in models}
    for result in results:
        place = (result.cell.size, result.cell.model)
        if result.cell.task == table.task and place in places:
            places[place].append(result)
    return [_entry(table, model, size, found) for (size, model), found in places.items()]


def _entry(table: Table, model: str, size: int, results: Sequence[Result]) -> Entry:
    done = [result.figures for result in sorted(results, key=lambda each: each.cell.seed) if result.figures is not None]
    if any(table.key not in figures for figures in done):
        raise VidferError(f"a cell of {model} has no {table.key}: raise its version, so that it is computed anew")
    values = tuple(table.scale * float(figures[table.key]) for figures in done)
    interval = mean_interval(values)
    low, high = (None, None) if interval is None else interval
    counts = sorted({int(figures["n_test"]) for figures in done})
    return Entry(
        table=table,
        model=model,
        size=size,
        values=values,
        low=low,
        high=high,
        n_test=" to ".join(str(count) for count in dict.fromkeys((*counts[:1], *counts[-1:]))),
        data="; ".join(dict.fromkeys(str(figures["data"]) for figures in done)),
        reasons=tuple(dict.fromkeys(result.reason for result in results if result.reason)),
        paper=reported(table.number, size, model),
    )
