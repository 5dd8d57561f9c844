"""Groups of people that data sets name, as far as they do."""

import re
from typing import Final

_RAVDESS: Final = re.compile(r"ravdess-(\d+)")


def sex_of(person: str | None) -> str | None:
    """Return `men` or `women`, or None where the data set does not say: RAVDESS numbers men oddly and women evenly.

    Example:
        >>> sex_of("ravdess-17"), sex_of("ravdess-18"), sex_of("nemo-AB0")
        ('men', 'women', None)
    """
    found = _RAVDESS.fullmatch(person or "")
    if found is None:
        return None
    return "women" if int(found[1]) % 2 == 0 else "men"
