"""The people of a report: who they are, what they display, and how far their votes can be trusted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vidfer.inference.decision import certain
from vidfer.pages.pictures import data_url
from vidfer.results.colours import COLOURS
from vidfer.results.pictures import Pictures
from vidfer.results.repool import counts, probabilities
from vidfer.results.vote_interval import VoteInterval, vote_interval
from vidfer.types import EMOTIONS

if TYPE_CHECKING:
    import pandas as pd

BAR: Final = 100
"""Width of a bar's drawing; it is stretched to its place."""


@dataclass(frozen=True)
class Share:
    """A line of a person's table: an expression with its votes, their interval, and the pooled probability."""

    name: str
    vote: float | None
    low: float | None
    high: float | None
    probability: float | None
    baseline: float | None


@dataclass(frozen=True)
class Person:
    """A person of the clip, of one track or several that are the same person.

    Args:
        key: The number, by which timeline and card find each other.
        label: The name, else `person 1`.
        numbers: Numbers of the tracks.
        interval: Of the votes; None where no image votes.
        shares: The expressions, the most probable first.
        vote: The most frequent expression of the images.
        thumbnail: As an address that holds it.
    """

    key: str
    person_id: str
    label: str
    numbers: tuple[int, ...]
    first_s: float
    last_s: float
    n_faces: int
    n_unusable: int
    n_uncertain: int
    predominant: str | None
    margin: float | None
    vote: str | None
    interval: VoteInterval | None
    shares: tuple[Share, ...]
    thumbnail: str | None
    linked_to: str | None

    @property
    def split(self) -> bool:
        """Whether most votes go to another expression than the pooled probability."""
        return self.vote in EMOTIONS and self.predominant in EMOTIONS and self.vote != self.predominant


def people_of(tables: "Mapping[str, pd.DataFrame]", summary: Mapping[str, Any], pictures: Pictures) -> list[Person]:
    """Return the people of a clip in order of appearance; tracks that are one person count once."""
    rows = tables["people"].sort_values("person", kind="stable")
    seen = rows[rows["n_faces"].notna()].drop_duplicates("person_id")
    images = _voting(tables["frames"], (summary["settings"] or {}).get("abstain"))
    per_second = _per_second(tables["frames"])
    numbers = rows.groupby("person_id", sort=False)["person"].agg(list)
    return [
        _person(row, tuple(map(int, numbers[row["person_id"]])), images.get(row["person_id"]), per_second, pictures)
        for _, row in seen.iterrows()
    ]


def _voting(frames: "pd.DataFrame", abstain: float | None) -> "dict[str, np.ndarray[Any, np.dtype[np.intp]]]":
    """Return the votes of each person's face images in the order of time, as places in `EMOTIONS`."""
    rows = frames[frames[EMOTIONS[0]].notna().to_numpy() & counts(frames)].sort_values("time_s", kind="stable")
    if rows.empty:
        return {}
    shares = probabilities(rows)
    sure = certain(shares, abstain)
    votes, ids = shares[sure].argmax(1), rows["person_id"].to_numpy(object)[sure]
    return {str(name): votes[ids == name] for name in dict.fromkeys(ids)}


def _per_second(frames: "pd.DataFrame") -> float:
    times = np.unique(frames["time_s"].to_numpy(float))
    return float(1 / np.median(np.diff(times))) if len(times) > 1 else 1.0


def _person(
    row: "pd.Series[Any]",
    numbers: tuple[int, ...],
    votes: "np.ndarray[Any, np.dtype[np.intp]] | None",
    per_second: float,
    pictures: Pictures,
) -> Person:
    interval = None if votes is None or not len(votes) else vote_interval(votes, per_second)
    shares = [_share(row, name, interval) for name in COLOURS]
    shares.sort(key=lambda share: (-(share.probability or 0.0), -(share.vote or 0.0)))
    name = _known(row["person_name"]) or _known(row["name"])
    thumbnail = next((pictures.faces[one] for one in numbers if one in pictures.faces), None)
    return Person(
        key=str(numbers[0]),
        person_id=str(row["person_id"]),
        label=name or f"person {numbers[0]}",
        numbers=numbers,
        first_s=float(row["first_s"]),
        last_s=float(row["last_s"]),
        n_faces=int(row["n_faces"]),
        n_unusable=int(row["n_unusable"]),
        n_uncertain=int(row["n_uncertain"]),
        predominant=_known(row["predominant"]),
        margin=_number(row["margin"]),
        vote=_known(row["vote"]),
        interval=interval,
        shares=tuple(shares),
        thumbnail=None if thumbnail is None else data_url(thumbnail),
        linked_to=_known(row["linked_to"]),
    )


def _share(row: "pd.Series[Any]", name: str, interval: VoteInterval | None) -> Share:
    place = EMOTIONS.index(name)
    low, high = (None, None) if interval is None else (interval.low[place], interval.high[place])
    baseline = row.get(f"baseline_{name}")
    return Share(name, _number(row[f"vote_{name}"]), _number(low), _number(high), _number(row[name]), _number(baseline))


def _known(value: object) -> str | None:
    """Return a text of a table; None where it is missing."""
    return value if isinstance(value, str) and value else None


def _number(value: object) -> float | None:
    """Return a number of a table; None where it is missing."""
    import pandas as pd

    return None if value is None or pd.isna(value) else float(value)  # type: ignore[call-overload, arg-type]
