"""`vidfer doctor`: what is installed, what works, and how to mend what does not."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vidfer.types import VidferError

if TYPE_CHECKING:
    from vidfer.media.decode import Decoder

Check = tuple[str, Callable[[], str]]

_PACKAGES = (
    "torch", "torchvision", "lightning", "timm", "facenet-pytorch", "av", "decord", "opensmile", "opencv-python-headless",
    "numpy", "pyarrow", "pandas", "safetensors", "blake3",
)  # fmt: skip


@dataclass(frozen=True)
class DoctorOptions:
    """Say what is installed, what works, and how to mend the rest.

    Args:
        store: Artifacts of earlier runs; by default $VIDFER_STORE, or the user's cache.
    """

    store: Path | None = field(default=None, metadata={"metavar": "DIR"})


def run(options: DoctorOptions) -> int:
    """Run every check, print a line each, and return 1 if one fails."""
    from tempfile import TemporaryDirectory

    from vidfer.pipeline.store import default_store

    failed = 0
    with TemporaryDirectory() as folder:
        for name, check in _checks(Path(folder), options.store or default_store()):
            try:
                print(f"  ok    {name}: {check()}")
            except (VidferError, ImportError, OSError, RuntimeError) as error:
                failed += 1
                print(f"  FAIL  {name}: {error}")
    print("everything works" if not failed else f"{failed} of the checks failed")
    return 1 if failed else 0


def _checks(folder: Path, store: Path) -> Iterator[Check]:
    yield "versions", _versions
    clip = folder / "check.mp4"
    yield "demo clip", lambda: _make_clip(clip)
    yield "decoder pyav", lambda: _decode(clip, "pyav")
    yield "decoder decord", lambda: _decode(clip, "decord")
    yield "face detector", lambda: _detect(clip)
    yield "openSMILE", lambda: _listen(clip)
    yield "image weights", lambda: _weights("image")
    yield "audio weights", lambda: _weights("audio")
    yield "denoise weights", lambda: _weights("denoise")
    yield "devices", _devices
    yield "store", lambda: _store(store)


def _versions() -> str:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    missing = []
    found = [f"python {platform.python_version()}"]
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if "decord" in missing and platform.machine() not in {"x86_64", "AMD64"}:
        missing.remove("decord")
        found.append("decord absent (it has no wheel for this processor; PyAV decodes everything)")
    if missing:
        raise VidferError(f"not installed: {', '.join(missing)}; run `make setup` or `pip install vidfer`")
    return ", ".join(found)


def _make_clip(clip: Path) -> str:
    from vidfer.datasets.demo_clip import write_demo_clip

    write_demo_clip(clip, seconds=2.0)
    return f"2 s encoded, {clip.stat().st_size // 1000} kB"


def _decode(clip: Path, decoder: "Decoder") -> str:
    from time import process_time

    from vidfer.media.decode import read_frames

    started = process_time()
    frames = len(list(read_frames(clip, fps=None, decoder=decoder)))
    if frames != 50:
        raise VidferError(f"{frames} of 50 frames came out; reinstall {'av' if decoder == 'pyav' else decoder}")
    return f"all {frames} frames, {1000 * (process_time() - started) / frames:.1f} ms of this process each"


def _detect(clip: Path) -> str:
    from vidfer.inference.models import one_thread
    from vidfer.media.decode import read_frames
    from vidfer.stages.faces import detector

    frame = next(iter(read_frames(clip, fps=1.0)))
    with one_thread():
        faces = detector("cpu").detect([frame.image])[0]
    if len(faces.boxes) != 1:
        raise VidferError(f"{len(faces.boxes)} faces found in a portrait; reinstall facenet-pytorch==2.5.3")
    return "MTCNN found the face in the demo's portrait"


def _listen(clip: Path) -> str:
    from vidfer.media.audio import read_windows

    windows = read_windows(clip)
    if windows.vectors.shape != (1, 1582):
        raise VidferError(f"vectors of shape {windows.vectors.shape}, not (1, 1582); reinstall opensmile==2.6.0")
    return "1582 features of a 2 s window (openSMILE's licence is for research and private use)"


def _weights(kind: str) -> str:
    from vidfer.inference.denoiser import Denoiser
    from vidfer.inference.models import AudioModel, ImageModel
    from vidfer.weights.files import SHIPPED

    models: dict[str, type[ImageModel | AudioModel | Denoiser]]
    models = {"image": ImageModel, "audio": AudioModel, "denoise": Denoiser}
    sizes = {name: sum(weight.numel() for weight in models[kind](name).network.parameters()) for name in SHIPPED[kind]}
    return ", ".join(f"{name} ({size:,} parameters, digest as its card says)" for name, size in sizes.items())


def _devices() -> str:
    import os

    import torch

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    named = ", ".join(gpus) if gpus else "none found: --device cpu is the default and all that works here"
    return f"{os.cpu_count()} CPU cores, torch would use {torch.get_num_threads()} threads (vidfer uses 1 a job); CUDA: {named}"


def _store(root: Path) -> str:
    import os
    import shutil

    existing = next(path for path in (root, *root.absolute().parents) if path.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        raise VidferError(f"{root} cannot be written; give another place by --store or $VIDFER_STORE")
    return f"{root}, {shutil.disk_usage(existing).free / 1e9:.0f} GB free"
