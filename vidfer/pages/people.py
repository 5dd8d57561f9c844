"""With which names a page was made, noted in the page itself, so that it is made again only where they have changed."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from blake3 import blake3

if TYPE_CHECKING:
    import pandas as pd

META: Final = "vidfer-people"
"""Name of the `<meta>` in the head of a clip's page whose content is `people_digest` of its table `people`."""

_HEAD: Final = 4096
"""Bytes at the beginning of a page within which the `<meta>` stands."""


def people_digest(people: "pd.DataFrame") -> str:
    """Return a digest of who is who in a clip: of `person`, `person_id` and `person_name` of its table `people`.

    Example:
        >>> import pandas as pd
        >>> rows = pd.DataFrame({"person": [1], "person_id": ["a.mp4#1"], "person_name": ["Ann"]})
        >>> people_digest(rows)
        'f991f0251603fd68'
    """
    shown = people.sort_values("person")[["person", "person_id", "person_name"]].astype("string")
    rows = shown.astype(object).where(shown.notna(), None).to_numpy().tolist()
    return blake3(json.dumps(rows).encode()).hexdigest(length=8)


def noted_digest(page: Path, meta: str = META) -> str | None:
    """Return the digest that a page notes it was made with, in a `<meta>`; None where there is no page, or one without that."""
    try:
        with page.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return None
    found = re.search(rb'<meta name="%b" content="([0-9a-f]+)"' % meta.encode(), head)
    return found[1].decode() if found else None
