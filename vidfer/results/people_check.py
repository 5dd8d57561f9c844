"""Whether a user changed in `people.csv` only what may be changed there."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vidfer.pipeline.columns import unescaped
from vidfer.results.people import KEY, LINKED, WRITTEN, tracked_of
from vidfer.results.schema import TABLES, Kind
from vidfer.results.sheets import read_sheet
from vidfer.types import VidferError

if TYPE_CHECKING:
    import pandas as pd

_NUMBER: Final = re.compile(r"[-+]?\d*(?:[.,](\d*))?(?:[eE]([-+]?\d+))?")
_ROUNDED: Final = 1e-6  # of the CSV's six decimals


def check_cells(path: Path, people: "pd.DataFrame") -> list[str]:
    """Compare `people.csv` with the run's table `people`, and say which rows are gone.

    Columns may be missing, in another order, or new. Numbers may be rounded, as spreadsheets do, and have decimal commas.

    Raises:
        VidferError: A cell was changed that may not be, or a row is of nobody in the run.
    """
    sheet = read_sheet(path, (*KEY, *WRITTEN), (LINKED,), KEY[:1])
    kinds = {column.name: column.kind for column in TABLES["people"] if column.name not in (*KEY, *WRITTEN, LINKED)}
    known = {tracked_of(path, 0, row): row for row in people.to_dict("records")}
    for line, cells in sheet.rows:
        tracked = tracked_of(path, line, cells)
        row = known.pop(tracked, None)
        if row is None:
            raise VidferError(f"{path}, line {line}: the run has no person {tracked}: remove the row")
        if changed := [
            name for name, kind in kinds.items() if name in cells and not _same(cells[name], row[name], kind)
        ]:
            raise VidferError(
                f"{path}, line {line}: {changed[0]} is '{cells[changed[0]]}', not {_shown(row, changed[0])}: only "
                f"{' and '.join(WRITTEN)} may be edited; put it back, or delete the column"
            )
    gone = f"{path} has no row of {', '.join(list(known)[:5])}{', ...' if len(known) > 5 else ''}: it is added again"
    return [gone] if known else []


def _shown(row: Mapping[Any, Any], name: str) -> str:
    import pandas as pd

    return "empty" if pd.isna(row[name]) else f"'{row[name]}'"


def _same(cell: str, value: Any, kind: Kind) -> bool:  # noqa: ANN401 - a value of any kind
    """Tell whether a cell shows a value, a number perhaps with fewer digits."""
    import pandas as pd

    if pd.isna(value):
        return cell == ""
    if kind not in ("int", "float"):
        return unescaped(cell) == str(value).strip()
    found = _NUMBER.fullmatch(cell)
    if not cell or found is None or not any(sign.isdigit() for sign in cell):
        return False
    digits, power = len(found[1] or ""), int(found[2] or 0)
    return math.isclose(
        float(cell.replace(",", ".")), float(value), rel_tol=0, abs_tol=0.5000001 * 10.0 ** (power - digits) + _ROUNDED
    )
