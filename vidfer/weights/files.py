"""Weights on disk: `NAME.safetensors` with a JSON card `NAME.json` beside it. Nothing here imports torch at once."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from blake3 import blake3

from vidfer.limits import MAX_WEIGHTS_BYTES
from vidfer.pipeline.atomic import write_atomic
from vidfer.pipeline.bounded import read_bounded, read_json
from vidfer.pipeline.store import user_folder
from vidfer.types import EMOTIONS, VidferError

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor, nn

Card = dict[str, Any]

SHIPPED: Final[dict[str, tuple[str, ...]]] = {
    "image": ("compact", "compact64"),
    "audio": ("voice", "gan_sound"),
    "denoise": ("small",),
    "fusion": ("fusion",),
    "faces": ("gan_faces",),
    "occlusion": ("occlusion",),
    "identity": (),
    "detector": ("mtcnn_pnet", "mtcnn_rnet", "mtcnn_onet"),
}
"""Names of the weights in this folder, by kind: networks for a face, a window of sound, noise, faces and sound together,
all faces of a clip, what covers a face, who is the same person (fetched, see `vidfer.weights.published`), and the three that
find faces in the order in which they work."""

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
"""A name of weights: no dot and no slash, so that it is never mistaken for a file."""

GRAPH: Final = ".onnx"
"""Suffix of the graph beside weights."""

OWN_HEAD: Final = "video"
"""Name of an image network's own last layer, by which clips are predicted, beside further heads."""

_CLASSIFIERS: Final = ("image", "audio", "fusion", "faces")
_DECISIVE: Final = ("kind", "arch", "arguments", "classes", "preprocessing")
_REQUIRED: Final = (*_DECISIVE, "blake3")


@dataclass(frozen=True)
class Weights:
    """A safetensors file and its card (see `save_weights`), which was checked."""

    path: Path
    card: Card

    def read(self) -> bytes:
        """Read the file and check it against its card's digest.

        Raises:
            VidferError: The file is not the one that the card describes, or cannot be read.
        """
        data = _read(self.path)
        if blake3(data).hexdigest() != self.card["blake3"]:
            card = self.path.with_suffix(".json")
            raise VidferError(f"{self.path} is not the file that its card {card.name} describes")
        return data

    @property
    def graph_path(self) -> Path:
        """Where the network's graph for ONNX Runtime lies if there is one: it holds no tensors, and names those of the file."""
        return self.path.with_suffix(GRAPH)

    @property
    def has_graph(self) -> bool:
        """Whether the card has a graph's digest and the file is there."""
        return isinstance(self.card.get("graph"), str) and self.graph_path.is_file()

    @property
    def files(self) -> tuple[Path, ...]:
        """The card, the graph where there is one, and last the tensors."""
        return (self.path.with_suffix(".json"), *((self.graph_path,) if self.has_graph else ()), self.path)

    def graph(self) -> bytes:
        """Read the graph and check it against the card's digest.

        Raises:
            VidferError: The file is not the one that the card describes, or cannot be read.
        """
        data = _read(self.graph_path)
        if blake3(data).hexdigest() != self.card.get("graph"):
            card = self.path.with_suffix(".json")
            raise VidferError(f"{self.graph_path} is not the file that its card {card.name} describes")
        return data

    def arrays(self) -> "dict[str, npt.NDArray[Any]]":
        """Read the tensors as arrays; raises as `read` does."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            return load(self.read())
        except SafetensorError as error:
            raise VidferError(f"{self.path} is no safetensors file: {error}") from error

    def tensors(self) -> "dict[str, Tensor]":
        """Read the tensors; raises as `read` does."""
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            return load(self.read())
        except SafetensorError as error:
            raise VidferError(f"{self.path} is no safetensors file: {error}") from error

    def load_into(self, network: "nn.Module") -> None:
        """Fill a network with the tensors; raises as `read` does, and where the network is not the card's.

        Tensors that the network calls `training_only` may be missing, and then stay as they are.
        """
        apart: tuple[str, ...] = getattr(network, "training_only", ())
        try:
            missing, unexpected = network.load_state_dict(self.tensors(), strict=False)
        except RuntimeError as error:
            raise VidferError(f"{self.path} does not fit a network '{self.card['arch']}': {error}") from error
        if wrong := [*(name for name in missing if not name.startswith(apart)), *unexpected]:
            count = f"it lacks or adds {len(wrong)} tensors, such as {wrong[0]}"
            raise VidferError(f"{self.path} does not fit a network '{self.card['arch']}': {count}")


def shipped_folder() -> Path:
    """Return where shipped weights are."""
    return Path(__file__).parent


def weights_folder() -> Path:
    """Return where pulled weights are kept: `$VIDFER_WEIGHTS`, or `vidfer-weights` in the user's cache folder."""
    return user_folder("VIDFER_WEIGHTS", "vidfer-weights")


def find_weights(kind: str, name_or_file: str | Path) -> Weights:
    """Find weights of a kind in `SHIPPED` by name (shipped or pulled) or `.safetensors` file, and check their card.

    Raises:
        VidferError: There are no such weights, the card is missing or unreadable, or it describes something else.
    """
    name = str(name_or_file)
    if name in SHIPPED[kind]:
        path = shipped_folder() / f"{name}.safetensors"
    elif NAME.fullmatch(name) and (pulled := weights_folder() / f"{name}.safetensors").is_file():
        path = pulled
    else:
        path = Path(name)
        if path.suffix != ".safetensors":
            raise VidferError(_unknown(kind, name))
    if not path.is_file():
        raise VidferError(f"no weights file {path}")
    return Weights(path, read_card(path, kind))


def trained_weights(path: Path) -> Weights:
    """Read the card of a `.safetensors` file of whatever kind; raises as `find_weights` does."""
    place = path.with_suffix(".json")
    try:
        kind = read_json(place)["kind"]
        known = kind in SHIPPED
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise VidferError(f"{path} has no card that names its kind: expected {place}") from error
    if not known:
        raise VidferError(f"the card {place} has the kind {kind!r}: it is none of {', '.join(SHIPPED)}")
    return find_weights(kind, path)


def weights_digest(kind: str, name_or_file: str | Path) -> str:
    """Digest what decides a model's output, the file's bytes and the decisive entries of its card: 64 hexadecimal digits.

    Raises:
        VidferError: As `find_weights`, and where the file is not the one that its card describes.
    """
    weights = find_weights(kind, name_or_file)
    decisive = {key: weights.card[key] for key in _DECISIVE}
    weights.read()
    text = json.dumps([weights.card["blake3"], decisive], sort_keys=True)
    return blake3(text.encode()).hexdigest()


def embedding_width(image_model: str | Path) -> int:
    """Read from the header of image weights how long their embeddings are: the inputs of the layer that gives the logits.

    Raises:
        VidferError: There are no such weights, or they have no linear layer with an output for each class.
    """
    from safetensors import SafetensorError, safe_open

    path = find_weights("image", image_model).path
    try:
        with safe_open(path, "numpy") as stored:
            shapes = {name: tuple(stored.get_slice(name).get_shape()) for name in stored.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise VidferError(f"{path} is no safetensors file: {error}") from error
    last = {shape[1] for name, shape in shapes.items() if len(shape) == 2 and shape[0] == len(EMOTIONS)}
    if "head.weight" in shapes:  # of the compact network; timm names its last layer as each network's authors did
        last = {shapes["head.weight"][1]}
    if len(last) != 1:
        raise VidferError(f"{path} has no linear layer from an embedding to {len(EMOTIONS)} logits: export it again")
    return int(last.pop())


def read_heads(weights: Weights) -> dict[str, str]:
    """Read from an image card which heads its network has, `OWN_HEAD` first, and the labels that each was trained on.

    The latter are the card's `conventions`, a clause by head; empty without that entry.

    Raises:
        VidferError: The card has nonsense for one of them, or they name other heads.
    """
    others, told = weights.card["arguments"].get("heads", []), weights.card.get("conventions")
    heads = [OWN_HEAD, *others] if isinstance(others, list) else []
    if (
        not all(isinstance(head, str) and NAME.fullmatch(head) for head in heads)
        or len({*heads}) != len(heads)
        or not heads
    ):
        raise VidferError(f"the card of {weights.path} has {others!r} for heads: export the weights again")
    if told is None:
        return dict.fromkeys(heads, "")
    texts = isinstance(told, dict) and all(isinstance(text, str) and text for text in told.values())
    if not texts or set(told) != set(heads):
        fault = f"the card of {weights.path} has {told!r} for conventions"
        raise VidferError(f"{fault}: it needs a text for each of the heads {', '.join(heads)}")
    return {head: told[head] for head in heads}


def read_calibration(weights: Weights) -> tuple[float, float] | None:
    """Read the temperature and the label smoothing to invert before (see `invert_label_smoothing`) from a card, if it has them.

    Raises:
        VidferError: The card has nonsense for one of them.
    """
    entry = weights.card.get("calibration")
    if entry is None:
        return None
    values = []
    for name, low, high in (("temperature", 0.01, 100), ("smoothing", 0, 0.5)):
        value = entry.get(name, 0) if isinstance(entry, dict) else None
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise VidferError(
                f"the card of {weights.path} has {value!r} for the {name} of its calibration: calibrate it again"
            )
        values.append(float(value))
    return values[0], values[1]


def add_graph(weights: Weights, graph: bytes) -> Weights:
    """Write the graph of weights for ONNX Runtime beside them, and its digest into the card, which is written last.

    Raises:
        VidferError: They cannot be written.
    """
    card = {**weights.card, "graph": blake3(graph).hexdigest()}
    try:
        write_atomic(weights.graph_path, graph)
        write_atomic(weights.path.with_suffix(".json"), json.dumps(card, indent=2) + "\n")
    except OSError as error:
        raise VidferError(f"{weights.graph_path} and the card cannot be written: {error.strerror}") from error
    return Weights(weights.path, card)


def save_weights(path: Path, state: "Mapping[str, Tensor]", card: Card, graph: bytes | None = None) -> None:
    """Write tensors by name to a `.safetensors` path and the card beside it, each atomically, the card last.

    `graph` is the network for ONNX Runtime, see `vidfer.inference.graphs`. The card has at least `kind`, `arch`, `arguments`
    (constructor arguments of the network) and `preprocessing`; by custom also `data`, `recipe`, `metrics` (each with data, split,
    n and interval), `licence`, `intended_use` and `prohibited_use`. `classes`, `blake3` and `graph` are filled in here.

    Raises:
        VidferError: The path or the card is unusable.
    """
    from safetensors.torch import save

    if path.suffix != ".safetensors":
        raise VidferError(f"weights are written as .safetensors, not to {path.name}")
    data = save({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()})
    classes = list(EMOTIONS) if card.get("kind") in _CLASSIFIERS else []
    full = {**card, "classes": classes, "blake3": blake3(data).hexdigest()}
    if graph is not None:
        full["graph"] = blake3(graph).hexdigest()
    if missing := [key for key in _REQUIRED if key not in full]:
        raise VidferError(f"a card needs {', '.join(missing)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if graph is not None:
            write_atomic(path.with_suffix(GRAPH), graph)
        write_atomic(path, data)
        write_atomic(path.with_suffix(".json"), json.dumps(full, indent=2) + "\n")
    except OSError as error:
        raise VidferError(f"{path} and its card cannot be written: {error.strerror}") from error


def read_card(path: Path, kind: str) -> Card:
    """Read and check the card of a weights file, which itself need not be there yet.

    Raises:
        VidferError: The card is missing, unreadable or incomplete, or describes something else.
    """
    place = path.with_suffix(".json")
    try:
        card = read_json(place)
    except FileNotFoundError:
        raise VidferError(f"{path} has no card: expected {place} (training exports both; keep them together)") from None
    except (ValueError, OSError) as error:
        raise VidferError(f"the card {place} cannot be read: {error}") from error
    if missing := [key for key in _REQUIRED if not isinstance(card, dict) or key not in card]:
        raise VidferError(f"the card {place} lacks {', '.join(missing)}")
    for key, kind_of in (("arch", str), ("arguments", dict), ("preprocessing", dict)):
        if not isinstance(card[key], kind_of):
            raise VidferError(f"the card {place} has {card[key]!r} for {key}: export the weights again")
    if card["kind"] != kind:
        raise VidferError(f"{path} holds weights of kind '{card['kind']}', not '{kind}'")
    if kind in _CLASSIFIERS and card["classes"] != list(EMOTIONS):
        raise VidferError(f"{path} predicts {card['classes']}; needed, in this order: {', '.join(EMOTIONS)}")
    return dict(card)


def _unknown(kind: str, name: str) -> str:
    stage = {"image": "finetune", "denoise": "denoise"}.get(kind, "classify")
    option = " --model.init_args.backbone=NAME" if kind == "image" else ""
    return (
        f"no {kind} weights '{name}': shipped are {', '.join(SHIPPED[kind]) or 'none'}, and `vidfer weights list` shows "
        "what else is here or can be pulled. A network's name alone, such as one of timm's, has no weights for these "
        f"classes: train it (python -m stages.{stage} fit --config configs/{stage}.yaml{option}) "
        "and give the exported .safetensors file"
    )


def _read(path: Path) -> bytes:
    try:
        return read_bounded(path, MAX_WEIGHTS_BYTES)
    except OSError as error:
        raise VidferError(f"{path} cannot be read: {error.strerror}") from error
