"""What fusion adds, on speech paired with faces of other people that show the same class."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vidfer.evaluation import Notify
from vidfer.evaluation.export import require_weights
from vidfer.evaluation.folds import leave_out_trained
from vidfer.inference.decision import (
    Rules,
    fuse_modalities,
    predict_faces,
    predict_joint,
    predict_sound,
    vote,
)
from vidfer.metrics.classification import Floats, score
from vidfer.pipeline.store import default_store
from vidfer.stages.chain import ChainOptions, build_rules
from vidfer.stages.fitting import incompatibility
from vidfer.types import UsageError
from vidfer.weights.files import find_weights

if TYPE_CHECKING:
    from vidfer.models.batches import ClipBatch

_DROPPED = {"trained": "", "trained, sound dropped": "sound_mask", "trained, faces dropped": "frame_mask"}


@dataclass(frozen=True)
class PairedOptions:
    """What fusion brings, on paired (semi-synthetic) clips.

    Whoever speaks in a paired clip is not who is seen. Speakers and face images of the test are in no training. faces and sound
    are the predictions of the image model and of the audio model by themselves; late is their product; trained is the
    fusion model with both inputs, and then with either of them dropped; vidfer analyze uses the mean of trained and late.

    Args:
        root: Folder of RAVDESS speech (default: data/ravdess_speech).
        faces_root: FER2013.
        people: Speakers of the test.
        pairing_seed: Which face goes with which voice.
        image_model: Weights by name, or a file.
        audio_model: Weights by name, or a file.
        fusion_model: Weights by name, or a file.
        store: Artifacts of earlier runs (default: $VIDFER_STORE, or the user's cache).
    """

    root: Path | None = field(default=None, metadata={"metavar": "DIR"})
    faces_root: Path = field(default=Path("data/fer2013"), metadata={"metavar": "DIR"})
    people: str = field(default="17-20", metadata={"metavar": "A-B,C"})
    pairing_seed: int = 0
    image_model: str = field(default="compact", metadata={"metavar": "NAME|FILE"})
    audio_model: str = field(default="voice", metadata={"metavar": "NAME|FILE"})
    fusion_model: str = field(default="fusion", metadata={"metavar": "NAME|FILE"})
    store: str | None = field(default=None, metadata={"metavar": "DIR|URL"})


def evaluate_paired(options: PairedOptions, notify: Notify = lambda _: None) -> dict[str, Any]:
    """Score each modality, late fusion and the trained one on the same clips, by the rule of `vidfer analyze`.

    `notify` is called with a line about what is left out. Returns `on`; `left_out`, the number of clips; and scores by name.
    Raises `UsageError` if models do not fit each other, or a speaker was trained on.
    """
    from vidfer.datamodules.features import collate_clips
    from vidfer.datamodules.paired import PairedDataModule

    image, models = options.image_model, {"audio": options.audio_model, "fusion": options.fusion_model}
    require_weights({"image": image, **models})
    chain = ChainOptions(image_model=image, audio_model=options.audio_model, fusion_model=options.fusion_model)
    for kind, name in models.items():
        if fault := incompatibility(kind, name, image):
            raise UsageError(f"the {kind} model {name} does not fit: {fault}")
    data = PairedDataModule(
        root=None if options.root is None else str(options.root), faces_root=str(options.faces_root), train_people="",
        test_people=options.people, pairing_seed=options.pairing_seed, image_model=image,
        store=str(options.store or default_store()), reads=["frames", "sound"],
    )  # fmt: skip
    data.notify = notify
    cards = {name: find_weights(kind, name).card for kind, name in models.items()}
    leave_out_trained(data.splits()["test"], cards, named=True, notify=notify)
    data.setup("test")
    batch = collate_clips(data.samples["test"])
    found = predict_pairs(batch, {"image": image, **models}, build_rules(chain), dropped=True)
    found["as analyze answers"] = found.pop("fused")
    target = batch["target"].numpy()
    return {
        "on": f"{data.source}, speakers {options.people}, faces of {data.test_split}",
        "left_out": sum(map(len, data.left_out["test"].values())),
        **{name: asdict(score(target, np.array(rows).argmax(1))) for name, rows in found.items()},
    }


def paired_lines(found: Mapping[str, Any]) -> list[str]:
    """Render what `evaluate_paired` returned."""
    lines = [found["on"]]
    for name, scores in found.items():
        if isinstance(scores, Mapping):
            low, high = scores["accuracy_ci95"]
            lines.append(f"{name:<24} accuracy {scores['accuracy']:.3f} ({low:.3f} to {high:.3f}), n = {scores['n']}")
    return lines


def predict_pairs(
    batch: "ClipBatch", models: Mapping[str, str], rules: Rules, *, dropped: bool = False
) -> dict[str, list[Floats]]:
    """Predict each clip, of one person at 5 faces a second, by the rule of the chain: probabilities `(7,)` by name of the part.

    Models are names or files by kind, of which `audio`, `faces` and `fusion` may be missing: `faces` predicts in place of the
    image model, `trained` is the fusion model alone, `fused` what the chain answers. With `dropped` the fusion model also
    predicts without each of its inputs.
    """
    import torch

    from vidfer.inference.classifiers import AudioModel
    from vidfer.inference.torch_networks import build_module, load_classifier

    image: Any = build_module(find_weights("image", models["image"])).network
    audio = AudioModel(models["audio"]) if "audio" in models else None
    one, logits = np.ones(1), {}
    found: dict[str, list[Floats]] = defaultdict(list)
    with torch.inference_mode():
        if "faces" in models:
            of_faces = load_classifier("faces", models["faces"])[1](batch).numpy()
        if "fusion" in models:
            _, fusion = load_classifier("fusion", models["fusion"])
            for name, mask in _DROPPED.items() if dropped else [("trained", "")]:
                kept: Any = {**batch, **({mask: torch.zeros_like(batch[mask])} if mask else {})}  # type: ignore[literal-required]
                logits[name] = fusion(kept).numpy()
        for at in range(len(batch["target"])):
            frames = batch["frames"][at][batch["frame_mask"][at]]
            count, vectors = len(frames), batch["sound"][at][batch["sound_mask"][at]].numpy()
            by_person = of_faces[at : at + 1] if "faces" in models else None
            person, times, weights = np.zeros(count, np.int64), np.arange(count) / 5, np.ones(count)
            faces = predict_faces(image.head(frames).numpy(), person, times, weights, rules, by_person)
            votes = vote(faces.probabilities)
            parts = {"faces": faces.distribution, "vote": votes}
            if audio:
                sound = predict_sound(audio(vectors), rules, sequential=audio.sequential)
                parts["sound"] = sound.distribution
                joint = {name: predict_joint(values[at : at + 1], one, rules) for name, values in logits.items()}
                for name, trained in (("late", None), ("fused", joint.get("trained"))):
                    fused = fuse_modalities(faces, sound, trained, rules)
                    parts[name] = fused.distribution if fused else np.full(7, np.nan)
                parts |= joint
            for name, distribution in parts.items():
                found[name].append(distribution)
    return found
