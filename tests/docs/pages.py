"""The pages as tests read them: their links, and the sections between their headings."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]

_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")


def links(text):
    """List `(text, target)` of a text's Markdown links that lead to files."""
    return [(name, target) for name, target in _LINK.findall(text) if not re.match(r"[a-z]+:|#", target)]


def anchors(path):
    """Name the headings of a page as links call them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def sections(text):
    """Split a page at its headings."""
    return re.split(r"^#+ ", text, flags=re.MULTILINE)
