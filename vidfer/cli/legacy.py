"""Options of the verb that still builds its own argparse parser."""

import argparse
from pathlib import Path


def add_store_option(parser: argparse._ActionsContainer, otherwise: str = "$VIDFER_STORE, or the user's cache") -> None:
    """Add the place of the store, and say what it is if not given."""
    parser.add_argument("--store", type=Path, metavar="DIR", help=f"artifacts of earlier runs (default: {otherwise})")


def positive_number(text: str) -> float:
    """Parse a number above zero."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above zero")
    return value


def count(text: str) -> int:
    """Parse a whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1 on")
    return int(text)
