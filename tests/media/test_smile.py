"""The engine by itself against the package's own interface."""

import subprocess
import sys

import numpy as np
import pytest

from tests.media.test_audio import voice
from vidfer.media.smile import Smile

RATE = 16_000


def test_vectors_equal_those_of_the_package_in_every_bit_whatever_came_before():
    opensmile = pytest.importorskip("opensmile")
    reference = opensmile.Smile(opensmile.FeatureSet.IS10, opensmile.FeatureLevel.Functionals)
    noise = np.random.default_rng(0).uniform(-1, 1, RATE).astype(np.float32) * np.float32(0.99)
    windows = [voice(2.0), noise, voice(0.1), np.zeros(RATE, np.float32), voice(1.0)]
    with Smile(RATE) as smile:
        for window in windows:
            vector = smile(window)
            assert vector.shape == (1582,)
            assert vector.dtype == np.float32
            np.testing.assert_array_equal(vector, reference(window, RATE).reshape(-1))


def test_the_sounds_child_imports_no_more_than_it_needs():
    code = "import sys, vidfer.media.audio_child as a; a.Smile(16000); a.SpeechMeter(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = {name.split(".")[0] for name in done.stdout.split()}
    assert not imported & {"pandas", "scipy", "opensmile", "audinterface", "cv2", "PIL", "onnxruntime", "torch"}
