"""A portrait in motion, analysed once for all tests of the Python API."""

import numpy as np
import pytest

from vidfer import Analyzer
from vidfer.datasets.photos import read_sample


@pytest.fixture(scope="session")
def portrait():
    """A hundred frames, `(100, 150, 150, 3)` uint8, of a face that drifts; seven in the middle are noisy."""
    photo = read_sample("astronaut")
    rng = np.random.default_rng(0)
    frames = []
    for number in range(100):
        x, y = 145 + round(12 * np.sin(number / 16)), 20 + round(8 * np.cos(number / 16))
        view = photo[y : y + 150, x : x + 150]
        noise = rng.normal(0, 25, view.shape) if 40 <= number < 47 else 0
        frames.append((view + noise).round().clip(0, 255).astype(np.uint8))
    return np.stack(frames)


@pytest.fixture(scope="session")
def analyzer(tmp_path_factory):
    """An Analyzer of every frame, without sound."""
    return Analyzer(every=1, audio_model="none", store=tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def analysed(analyzer, portrait):
    """The portrait's result, at 50 frames a second."""
    return analyzer.analyze(portrait, fps=50, name="portrait.mp4")
