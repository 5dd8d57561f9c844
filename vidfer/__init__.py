"""Turn a video into a table of displayed facial expressions."""

__version__ = "0.1.0"
