"""Analyse clips from Python: what `import vidfer` offers, and what commands and evaluations call."""

from vidfer.api.analyzer import Analyzer, analyze
from vidfer.api.clip import analyze_clip
from vidfer.api.folders import claimed_folders, write_result
from vidfer.api.live import LiveFrame, LivePerson
from vidfer.api.options import Options
from vidfer.api.result import ClipResult
from vidfer.api.unchanged import Earlier, Writing
from vidfer.results.names import shown

__all__ = [
    "Analyzer",
    "ClipResult",
    "Earlier",
    "LiveFrame",
    "LivePerson",
    "Options",
    "Writing",
    "analyze",
    "analyze_clip",
    "claimed_folders",
    "shown",
    "write_result",
]
