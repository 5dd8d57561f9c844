"""What a loader found, dropped and mended."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class PreparationReport:
    """Counts and lists of what was met while a data set was read.

    Args:
        source: The data set and split, for people.
        found: Items met on disk.
        kept: Items handed on.
        dropped: Names of the items left out, by reason.
        noted: Names of the items kept although something about them is odd, by reason.
    """

    source: str
    found: int
    kept: int
    dropped: dict[str, list[str]] = field(default_factory=dict)
    noted: dict[str, list[str]] = field(default_factory=dict)

    def lines(self, examples: int = 3) -> list[str]:
        """Render the report for a terminal.

        Args:
            examples: How many names to show for each reason.

        Returns:
            One line for the totals, then one for each reason.
        """
        result = [f"{self.source}: {self.kept} of {self.found} kept"]
        for verb, reasons in (("dropped", self.dropped), ("noted", self.noted)):
            for reason, names in reasons.items():
                shown = ", ".join(names[:examples]) + (", ..." if len(names) > examples else "")
                result.append(f"  {verb} {len(names)}: {reason} ({shown})")
        return result
