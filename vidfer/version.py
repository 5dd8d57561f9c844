"""The version of vidfer, part of every report."""

__version__ = "0.1.0"
