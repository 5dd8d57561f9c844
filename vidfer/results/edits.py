"""What a user wrote into a run's tables: names and identities of people, and columns of his own."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vidfer.results.files import read_texts, typed_values
from vidfer.results.schema import TABLES

if TYPE_CHECKING:
    import pyarrow as pa

    from vidfer.results.schema import Kind

KEYS: Final[Mapping[str, tuple[str, ...]]] = {"people": ("clip_id", "person"), "clips": ("clip_id",)}
"""The columns that say which row is whose, in each table that may be edited."""

EDITABLE: Final[Mapping[str, tuple[str, ...]]] = {"people": ("name", "same_as"), "clips": ()}
"""The columns of the schema that a user may write into."""


@dataclass(frozen=True)
class Edits:
    """What a user wrote into one table, as texts.

    Args:
        own: Columns of his own, in their order.
        written: Columns of the schema that he may write into.
        places: The row of the file that belongs to each key.
    """

    own: Mapping[str, Sequence[str]] = field(default_factory=dict)
    written: Mapping[str, Sequence[str]] = field(default_factory=dict)
    places: Mapping[tuple[str, ...], int] = field(default_factory=dict)

    def lost(self, kept: Collection[tuple[str, ...]]) -> list[tuple[str, ...]]:
        """Return the keys of rows in which something was written and that are not among those kept."""
        columns = [*self.written.values(), *self.own.values()]
        return [key for key, at in self.places.items() if key not in kept and any(texts[at] for texts in columns)]

    def concern(self, clip_id: str) -> bool:
        """Tell whether anything was written into a row of this clip."""
        columns = [*self.written.values(), *self.own.values()]
        return any(key[0] == clip_id and any(texts[at] for texts in columns) for key, at in self.places.items())

    def apply(self, table: str, rows: "pa.Table", kinds: "Mapping[str, Kind]") -> "pa.Table":
        """Return a clip's rows with what was written into them; rows that the file did not have stay as they are.

        Args:
            table: The table's name.
            rows: They have all of the user's own columns, missing where the clip's table did not have them.
            kinds: The types of his own columns.
        """
        import pyarrow as pa

        keys = zip(*(rows[name].to_pylist() for name in KEYS[table]), strict=True)
        found = [(row, at) for row, key in enumerate(keys) if (at := self.places.get(tuple(map(str, key)))) is not None]
        for name, texts in {**self.written, **self.own}.items():
            position = rows.column_names.index(name)
            old = rows[name].to_pylist()
            new = list(old)
            values = typed_values([texts[at] for _, at in found], kinds.get(name, "string"))
            for (row, _), value in zip(found, values, strict=True):
                if name in self.written or old[row] is None:  # what a clip's own table says goes before
                    new[row] = value
            if new != old:
                field = rows.schema.field(position)
                rows = rows.set_column(position, field, pa.array(new, field.type))
        return rows


def read_edits(path: Path, table: str, vidfers: set[str]) -> Edits:
    """Read what a user wrote into a run's CSV; nothing where there is no such file.

    Args:
        path: `people.csv` or `clips.csv`.
        table: The table's name.
        vidfers: Columns beside those of the schema that vidfer wrote, such as those of a study.

    Raises:
        VidferError: The file cannot be read, or its columns do not say which row is whose.
    """
    if not path.exists():
        return Edits()
    texts = read_texts(path, KEYS[table])
    not_own = {column.name for column in TABLES[table]} | vidfers | {""}
    keys = zip(*(map(_key, texts[name]) if name == "person" else texts[name] for name in KEYS[table]), strict=True)
    places = {key: at for at, key in enumerate(keys)}
    return Edits(
        {name: cells for name, cells in texts.items() if name not in not_own},
        {name: texts[name] for name in EDITABLE[table] if name in texts},
        places,
    )


def _key(cell: str) -> str:
    """Return a person's number as it was before a program took it for a number with decimals."""
    return cell.strip().removesuffix(".0").removesuffix(",0")
