"""Consent to the analysis of a clip, and how long its results may be kept, as columns of a study's file say it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final, Self

from vidfer.types import ClipError, Status, UsageError

COLUMNS: Final = ("consent", "consent_date", "retain_until", "purpose")
"""Columns of a file of participants, or of a manifest, with a meaning of their own; of the results table `clips` has them."""

_ANSWERS: Final = {"yes": "yes", "no": "no", "withdrawn": "withdrawn", "true": "yes", "false": "no"}
_DATES: Final = ("consent_date", "retain_until")


@dataclass(frozen=True)
class Consent:
    """What is known of the consent to a clip's analysis; empty where nothing is.

    Args:
        consent: `yes`, `no` or `withdrawn`.
        consent_date: Day on which it was given, ISO 8601.
        retain_until: Last day on which results may be there, ISO 8601.
        purpose: What it was given for.

    Example:
        >>> from datetime import date
        >>> Consent("yes", retain_until="2026-01-31").refusal(date(2026, 2, 1))
        'its retention ended on 2026-01-31'
    """

    consent: str = ""
    consent_date: str = ""
    retain_until: str = ""
    purpose: str = ""

    @classmethod
    def read(cls, row: Mapping[str, Any], where: str = "") -> Self:
        """Read a row of a table, by its columns; those that are missing say nothing.

        Raises:
            UsageError: A cell is neither an answer nor a day; the message begins with `where`.
        """
        texts = {name: "" if row.get(name) is None else str(row[name]).strip() for name in COLUMNS}
        answer = texts["consent"].lower()
        if answer and answer not in _ANSWERS:
            raise UsageError(f"{where}consent is '{texts['consent']}': write yes, no or withdrawn")
        for name in _DATES:
            if texts[name] and not _is_day(texts[name]):
                raise UsageError(f"{where}{name} is '{texts[name]}': write a day such as 2027-12-31")
        return cls(**{**texts, "consent": _ANSWERS.get(answer, "")})

    def refusal(self, today: date | None = None) -> str:
        """Say why a clip is not to be analysed, in a clause; nothing where it may be. The last day of retention counts."""
        if self.consent == "no":
            return "there is no consent to its analysis"
        if self.consent == "withdrawn":
            return "the consent to its analysis was withdrawn"
        if self.retain_until and date.fromisoformat(self.retain_until) < (today or date.today()):
            return f"its retention ended on {self.retain_until}"
        return ""

    @property
    def decides(self) -> bool:
        """Whether it is known if the clip may be analysed."""
        return bool(self.consent or self.retain_until)

    def require(self) -> None:
        """Refuse a clip that is not to be analysed.

        Raises:
            ClipError: It is not; its status is `refused`.
        """
        if why := self.refusal():
            raise ClipError(Status.REFUSED, f"not analysed: {why}")

    def record(self) -> dict[str, str] | None:
        """Return what `consent` in the summary is: what is known by column, None where nothing is."""
        return {name: text for name, text in asdict(self).items() if text} or None


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
