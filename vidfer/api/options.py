"""The keywords of the Python API: every option of the chain, of the tables and of a study, by its own name."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, TypedDict

from vidfer.inference.decision import Answer, Pool
from vidfer.inference.network import Backend
from vidfer.media.decode import Decoder
from vidfer.results.design import StudyOptions
from vidfer.results.tables import TableOptions
from vidfer.stages.chain import ChainOptions
from vidfer.stages.choice import Preset, Prior, SpeechMode
from vidfer.stages.denoise import DenoiseMode
from vidfer.stages.faces import DenoiseScope
from vidfer.types import VidferError, did_you_mean


class Options(TypedDict, total=False):
    """Keywords of `vidfer.analyze` and `vidfer.Analyzer`, as those of `vidfer analyze` on the command line.

    Example:
        >>> from vidfer import Options
        >>> Options(fps=10, abstain=0.4)
        {'fps': 10, 'abstain': 0.4}
    """

    fps: float
    every: int | None
    picture_fps: float | None
    decoder: Decoder
    models: str | Path | None
    preset: Preset
    denoise: DenoiseMode | None
    denoise_scope: DenoiseScope | None
    denoise_model: str | None
    denoise_threshold: float | None
    image_model: str | None
    weights: str | Path | None
    audio_model: str | None
    faces_model: str | None
    fusion_model: str | None
    voice: SpeechMode | None
    answer: Answer | None
    prior: Prior | None
    pool: Pool | None
    abstain: float | None
    keep_faces: bool
    device: str
    backend: Backend
    timeout: float
    grid: float
    min_segment: float
    participants: str | Path | None
    markers: str | Path | None
    baseline: str | None


KINDS = (ChainOptions, TableOptions, StudyOptions)
"""The dataclasses whose fields the keywords are."""

_PATHS = ("models", "weights", "participants", "markers")


def read_options(given: Mapping[str, Any]) -> tuple[ChainOptions, TableOptions, StudyOptions]:
    """Make the options of the chain, of the tables and of the study from keywords.

    Raises:
        TypeError: There is no such keyword.
        UsageError: A value is out of range, or there are no such weights.
    """
    known = [[spec.name for spec in fields(kind)] for kind in KINDS]
    names = sum(known, ["store"])
    for name in given:
        if name not in names:
            raise TypeError(f"there is no option '{name}'{did_you_mean(name, names)}")
    values: dict[str, Any] = {**given, **{name: Path(given[name]) for name in _PATHS if given.get(name) is not None}}
    chain, tables, study = ({name: values[name] for name in each if name in values} for each in known)
    with in_keywords():
        return ChainOptions(**chain), TableOptions(**tables), StudyOptions(**study)


@contextmanager
def in_keywords() -> Iterator[None]:
    """Let errors inside the block name options as Python's keywords: `denoise_scope` for `--denoise-scope`."""
    try:
        yield
    except VidferError as error:
        error.args = tuple(re.sub(r"--([a-z]+(?:-[a-z]+)*)", _keyword, str(text)) for text in error.args)
        raise


def _keyword(found: "re.Match[str]") -> str:
    return {"out": "the argument folder"}.get(found[1], found[1].replace("-", "_"))
