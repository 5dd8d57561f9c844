"""openSMILE's engine as a function of one window of sound.

The package `opensmile` imports pandas and more before its engine can be called, which costs 0.6 CPU seconds in every process that
listens. Its wrapper of the engine, `opensmile/core/lib.py`, needs NumPy alone: it is loaded by itself, with the same
configuration files. Vectors are equal to those of `opensmile.Smile` in every bit.
"""

from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

_FEATURES: Final = "is09-13/IS10_paraling_compat.conf"  # opensmile.FeatureSet.IS10
_LEVEL: Final = "func"  # opensmile.FeatureLevel.Functionals
_SCALE: Final = 32768  # of 16-bit samples


class Smile:
    """The functionals of the INTERSPEECH 2010 set, computed window by window; a context manager.

    The engine is set up once and reset after each window, as its authors provide for.

    Args:
        rate: Sampling rate in Hz.
    """

    def __init__(self, rate: int) -> None:
        core = Path(str(_spec().origin)).parent / "core"
        self._names = _load(core / "config.py").config
        shared = core / self._names.CONFIG_ROOT
        options = {
            "sink": shared / self._names.EXTERNAL_OUTPUT_SINGLE_CONFIG,
            "sinkLevel": _LEVEL,
            "bufferModeRbConf": shared / "shared/BufferModeRb.conf.inc",
            "frameModeFunctionalsConf": shared / "shared/FrameModeFunctionals.conf.inc",
            "source": shared / self._names.EXTERNAL_INPUT_CONFIG,
            "sampleRate": rate,
            "nBits": 16,
        }
        self._engine = _load(core / "lib.py").OpenSMILE()
        self._engine.initialize(str(shared / _FEATURES), options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.free()

    def __call__(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the vector `(1582,)` of mono samples in [-1, 1): 70 ms at least, or there is no vector."""
        vectors: list[NDArray[np.float32]] = []
        keep = vectors.append  # what the engine lends ends with the call
        self._engine.external_sink_set_callback_ex(
            self._names.EXTERNAL_OUTPUT_COMPONENT, lambda data, _: keep(data.copy().reshape(-1))
        )
        self._engine.external_audio_source_write_data(
            self._names.EXTERNAL_SOURCE_COMPONENT, (samples * _SCALE).astype(np.int16).tobytes()
        )
        self._engine.external_audio_source_set_eoi(self._names.EXTERNAL_SOURCE_COMPONENT)
        self._engine.run()
        self._engine.reset()
        (vector,) = vectors
        return vector


def _spec() -> Any:  # noqa: ANN401 - a module's specification, which finding does not import
    if (spec := find_spec("opensmile")) is None:
        raise ModuleNotFoundError("No module named 'opensmile'", name="opensmile")
    return spec


def _load(path: Path) -> ModuleType:
    """Import a file without the package that it lies in."""
    spec = spec_from_file_location(f"_opensmile_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
