"""Check on a clip made on the spot that what the stages need is installed and works.

Functions import what they check, so that a package that is missing or broken is a finding.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from vidfer.pipeline.extras import absent, need
from vidfer.types import VidferError

if TYPE_CHECKING:
    from vidfer.inference.network import Backend
    from vidfer.media.decode import Decoder

_PACKAGES = (
    "onnxruntime", "av", "decord", "opensmile", "opencv-python-headless", "numpy", "pyarrow", "pandas", "safetensors", "blake3",
)  # fmt: skip
_KINDS = ("detector", "image", "audio", "faces", "fusion", "denoise", "occlusion")
_USES = {
    "app": "vidfer app",
    "ray": "--engine ray",
    "s3": "--store s3://bucket/prefix",
    "slurm": "--engine slurm",
    "study": "vidfer compare, vidfer plot, --identify",
    "train": "training, evaluation, --backend torch, --device cuda",
}


class Finding(NamedTuple):
    """What a check found: its name, whether all is well, and what there is, or what is wrong and the remedy."""

    name: str
    works: bool
    text: str


def check_installation(store: str | Path | None = None, backend: "Backend" = "auto") -> Iterator[Finding]:
    """Check packages, decoders, face detector, openSMILE, shipped weights, devices and a store (the default one if None).

    Weights are loaded by the backend, so that torch is imported, and CUDA looked for, where that is `torch` only. An extra that
    is not installed is a finding and no fault.
    """
    with TemporaryDirectory() as folder:
        clip = Path(folder) / "check.mp4"
        checks: dict[str, Callable[[], str]] = {
            "versions": _versions,
            "demo clip": partial(_make_clip, clip),
            "decoder pyav": partial(_decode, clip, "pyav"),
            **({"decoder decord": partial(_decode, clip, "decord")} if _has_wheel_of_decord() else {}),
            "face detector": partial(_detect, clip),
            "openSMILE": partial(_extract_features, clip),
            "backends": partial(_backends, backend),
            **{f"{kind} weights": partial(_load_weights, kind, backend) for kind in _KINDS},
            "extras": _extras,
            "devices": partial(_devices, backend),
            "store": partial(_write_store, store),
        }
        for name, check in checks.items():
            try:
                finding = Finding(name, True, check())
            except ModuleNotFoundError as error:
                lacking = need(name, (error.name or "").partition(".")[0])
                finding = Finding(name, lacking is not None, str(lacking or error))
            except (VidferError, ImportError, OSError, RuntimeError) as error:
                finding = Finding(name, False, str(error))
            yield finding


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
    if "decord" in missing and not _has_wheel_of_decord():
        missing.remove("decord")
        found.append("decord absent (it has no wheel for this system; PyAV decodes everything)")
    if missing:
        raise VidferError(f"not installed: {', '.join(missing)}; run `make setup` or `pip install .` in a clone")
    return ", ".join(found)


def _has_wheel_of_decord() -> bool:
    """Tell whether pip finds decord for this system, by the rule of pyproject.toml."""
    import platform
    import sys

    return platform.machine() == "AMD64" or (platform.machine() == "x86_64" and sys.platform == "linux")


def _backends(backend: "Backend") -> str:
    from importlib.metadata import version

    from vidfer.inference.network import Compute

    Compute(backend=backend).require()
    found = [f"onnx (ONNX Runtime {version('onnxruntime')} on the CPU)"]
    if "torch" in absent("train"):
        found.append("torch is not installed (pip install 'vidfer[train]'), which CUDA and training need")
    else:
        found.append(f"torch {version('torch')}" + (" not loaded: --backend torch does" if backend != "torch" else ""))
    return "; ".join(found)


def _extras() -> str:
    def state(extra: str) -> str:
        lacking = absent(extra)
        return f"lacks {', '.join(lacking)}: pip install 'vidfer[{extra}]'" if lacking else "installed"

    return "; ".join(f"{extra} ({use}) {state(extra)}" for extra, use in _USES.items())


def _make_clip(clip: Path) -> str:
    from vidfer.datasets.synthetic import write_demo_clip

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
    from vidfer.media.decode import read_frames
    from vidfer.stages.faces import detector

    frame = next(iter(read_frames(clip, fps=1.0)))
    faces = detector().detect([frame.image])[0]
    if len(faces.boxes) != 1:
        raise VidferError(
            f"{len(faces.boxes)} faces found in a portrait; reinstall onnxruntime and opencv-python-headless"
        )
    return "MTCNN found the face in the demo's portrait"


def _extract_features(clip: Path) -> str:
    from vidfer.media.audio import read_windows

    shape = read_windows(clip).vectors.shape
    if shape != (1, 1582):
        raise VidferError(f"vectors of shape {shape}, not (1, 1582); reinstall opensmile==2.6.0")
    return "1582 features of a 2 s window (openSMILE's licence is for research and private use)"


def _load_weights(kind: str, backend: "Backend") -> str:
    from vidfer.inference.network import Compute, open_network
    from vidfer.weights.files import SHIPPED, find_weights

    sizes = {}
    for name in SHIPPED[kind]:
        weights = find_weights(kind, name)
        open_network(weights, Compute(backend=backend))
        sizes[name] = sum(array.size for array in weights.arrays().values())
    return ", ".join(f"{name} ({size:,} parameters, digest as its card says)" for name, size in sizes.items())


def _devices(backend: "Backend") -> str:
    import os

    if backend != "torch":
        return f"{os.cpu_count()} CPU cores; --backend torch looks for CUDA"
    import torch

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return f"{os.cpu_count()} CPU cores; CUDA: {', '.join(gpus) or 'none found, use --device cpu, the default'}"


def _write_store(place: str | Path | None) -> str:
    import shutil
    from tempfile import TemporaryFile

    from vidfer.pipeline.store import Store, default_store

    opened = Store(place or default_store())
    store = opened.root
    existing = next(path for path in (store, *store.absolute().parents) if path.exists())
    try:
        with TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise VidferError(f"{store} cannot be written; give another place by --store or $VIDFER_STORE") from error
    here = f"{store}, {shutil.disk_usage(existing).free / 1e9:.0f} GB free"
    if opened.remote is None:
        return here
    refuses = "refuses" if opened.remote.probe() else "DOES NOT REFUSE"
    return f"{opened.remote}, which {refuses} a second put of one name; mirror in {here}"
