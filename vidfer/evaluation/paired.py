"""`vidfer evaluate paired`: what fusion brings, on voices with faces of other people that show the same class."""

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vidfer.cli.options import add_store_option, require_weights
from vidfer.evaluation.held_out import leave_out_trained
from vidfer.types import UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from vidfer.models.batches import ClipBatch

    Floats = npt.NDArray[np.floating[Any]]

_EPILOG = """
Paired clips are semi-synthetic: whoever speaks is not who is seen. Speakers and face images of the test are in no training.
faces and sound are the answers of the image model and of the sound model by themselves; late is their weighted sum; trained is
the fusion model with both inputs, and then with either of them dropped; `vidfer analyze` answers by the mean of trained and late.
"""


def add_kind(kinds: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the kind `paired` of `vidfer evaluate`."""
    parser = kinds.add_parser("paired", help="what fusion brings, on paired (semi-synthetic) clips", epilog=_EPILOG)
    parser.add_argument("--root", metavar="DIR", help="folder of RAVDESS speech (default: data/ravdess_speech)")
    parser.add_argument("--faces-root", default="data/fer2013", metavar="DIR", help="FER2013 (default: data/fer2013)")
    parser.add_argument("--people", default="17-20", metavar="A-B,C", help="speakers of the test (default: 17-20)")
    parser.add_argument("--pairing-seed", type=int, default=0, help="which face goes with which voice (default: 0)")
    parser.add_argument("--image-model", default="compact", metavar="NAME|FILE", help="default: compact, as shipped")
    parser.add_argument("--audio-model", default="is10", metavar="NAME|FILE", help="default: is10, as shipped")
    parser.add_argument("--fusion-model", default="fusion", metavar="NAME|FILE", help="default: fusion, as shipped")
    add_store_option(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from vidfer.datamodules.features import collate_clips
    from vidfer.datamodules.paired import PairedDataModule
    from vidfer.metrics.classification import score
    from vidfer.pipeline.store import default_store
    from vidfer.stages.chain import incompatibility
    from vidfer.weights.files import find_weights

    wanted = {"image": args.image_model, "audio": args.audio_model, "fusion": args.fusion_model}
    require_weights(wanted)
    for kind in ("audio", "fusion"):
        if fault := incompatibility(kind, wanted[kind], args.image_model):
            raise UsageError(f"the {kind} model {wanted[kind]} does not fit: {fault}")
    data = PairedDataModule(
        root=args.root, faces_root=args.faces_root, train_people="", test_people=args.people, pairing_seed=args.pairing_seed,
        image_model=args.image_model, store=str(args.store or default_store()), reads=["frames", "sound"],
    )  # fmt: skip
    cards = {wanted[kind]: find_weights(kind, wanted[kind]).card for kind in ("audio", "fusion")}
    leave_out_trained(data.splits()["test"], cards, named=True)
    data.setup("test")
    left_out = sum(map(len, data.left_out["test"].values()))
    batch = collate_clips(data.samples["test"])
    answers = _answers(batch, args.image_model, args.audio_model, args.fusion_model)
    target = batch["target"].numpy()
    found = {name: asdict(score(target, probabilities.argmax(1))) for name, probabilities in answers.items()}
    title = f"{data.source}, speakers {args.people}, faces of {data.options['test_split']}"
    print(title)
    for name, scores in found.items():
        low, high = scores["accuracy_ci95"]
        print(f"{name:<24} accuracy {scores['accuracy']:.3f} ({low:.3f} to {high:.3f}), n = {scores['n']}")
    print(json.dumps({"on": title, "left_out": left_out, **found}, ensure_ascii=False))
    return 0


def _answers(batch: "ClipBatch", image: str, audio: str, fusion: str) -> "dict[str, Floats]":
    """Answer for each clip by each modality, by late fusion and by the trained one."""
    import numpy as np
    import torch

    from vidfer.inference.decision import Rules, fuse
    from vidfer.inference.models import FusionModel

    model = FusionModel(fusion).network
    faces, sound = _by_faces(batch, image), _by_sound(batch, audio)
    trust = {"faces": Rules.face_weight, "sound": 1 - Rules.face_weight}
    late = [fuse({"faces": one, "sound": other}, trust) for one, other in zip(faces, sound, strict=True)]
    answers = {"faces": faces, "sound": sound, "late": np.array(late)}
    dropped = {"trained": (), "trained, sound dropped": ("sound_mask",), "trained, faces dropped": ("frame_mask",)}
    with torch.inference_mode():
        for name, masks in dropped.items():
            left: Any = {**batch, **{mask: torch.zeros_like(batch[mask]) for mask in masks}}  # type: ignore[literal-required]
            answers[name] = model(left).exp().numpy()
    answers["as analyze answers"] = (answers["trained"] + answers["late"]) / 2
    return answers


def _by_faces(batch: "ClipBatch", image: str) -> "Floats":
    """Answer as `vidfer analyze` does: calibrated, half way to equal class shares, pooled over the clip's faces."""
    import numpy as np
    import torch

    from vidfer.inference.decision import calibrate, logit_adjustment, pool_peaks
    from vidfer.inference.models import ImageModel
    from vidfer.weights.files import read_calibration

    model = ImageModel(image)
    shares = model.card.get("data", {}).get("class_shares")
    rows = []
    with torch.inference_mode():
        for frames, mask in zip(batch["frames"], batch["frame_mask"], strict=True):
            probabilities = calibrate(model.network.head(frames[mask]).numpy(), read_calibration(model.weights))
            moved = logit_adjustment(probabilities, shares) if shares else probabilities
            rows.append(pool_peaks(moved, np.ones(len(moved)), np.arange(len(moved)) / 5))
    return np.array(rows)


def _by_sound(batch: "ClipBatch", audio: str) -> "Floats":
    """Answer as `vidfer analyze` does: each window calibrated, pooled over the clip."""
    import numpy as np

    from vidfer.inference.decision import calibrate, pool
    from vidfer.inference.models import AudioModel
    from vidfer.weights.files import find_weights, read_calibration

    model, calibration = AudioModel(audio), read_calibration(find_weights("audio", audio))
    rows = []
    for vectors, mask in zip(batch["sound"], batch["sound_mask"], strict=True):
        probabilities = calibrate(model(vectors[mask].numpy()), calibration)
        rows.append(pool(probabilities, np.ones(len(probabilities))))
    return np.array(rows)
