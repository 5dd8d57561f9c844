"""Measurements of models on data whose labels are known."""

from collections.abc import Callable

Notify = Callable[[str], None]
"""A function that shows a line."""

Progress = Callable[[float, float, str], None]
"""A function that shows the steps done, their number, and the one at work."""
