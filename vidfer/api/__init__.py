"""Analyse clips from Python: `vidfer.analyze` and its result."""

from vidfer.api.analyzer import analyze
from vidfer.api.folders import result_folders, write_overview, write_result
from vidfer.api.result import ClipResult, shown
from vidfer.stages.chain import ChainOptions

__all__ = ["ChainOptions", "ClipResult", "analyze", "result_folders", "shown", "write_overview", "write_result"]
