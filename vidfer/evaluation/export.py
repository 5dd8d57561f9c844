"""Weights with a card: written at the end of a training, and added to by an evaluation."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vidfer.datasets.contents import KINDS
from vidfer.datasets.div2k import is_div2k
from vidfer.metrics.classification import score
from vidfer.pipeline.atomic import write_atomic
from vidfer.types import DISPLAYED, UsageError, VidferError
from vidfer.weights.files import (
    OWN_HEAD,
    SHIPPED,
    Weights,
    find_weights,
    read_heads,
    save_weights,
    weights_digest,
    weights_folder,
)

if TYPE_CHECKING:
    import lightning

    from vidfer.datamodules.clips import ClipDataModule
    from vidfer.datamodules.denoise import DenoiseDataModule
    from vidfer.tasks.clip import ClipTask
    from vidfer.tasks.denoise import DenoiseTask

INTENDED: Final = (
    "Research and analysis of facial and vocal expressions in recordings whose subjects agreed to it, as an average over many "
    f"faces or windows. {DISPLAYED}"
)
INTENDED_OF_DENOISERS: Final = (
    "Removing noise like that of a sensor from photographs and frames before they are analysed. What it restores is likely, "
    "not evidence: it is no means to make out who or what is shown."
)
PROHIBITED: Final = (
    "Decisions about people (hiring, schooling, insurance, policing, border control, medical or psychological diagnosis), "
    "surveillance, lie detection, and inferring emotions at work or in education."
)

_FOLDERS = ("root", "faces_root", "clips_root", "test_root", "store", "weights", "teacher")


def export_weights(
    trainer: "lightning.Trainer",
    task: Any,  # noqa: ANN401 - duck-typed
    data: Any,  # noqa: ANN401 - duck-typed
    path: Path,
    *,
    best: Mapping[str, Any] | None = None,
) -> None:
    """Write a trained network's weights and card, then measure it on its test split and add that to the card.

    The card has what `task.export()`, `data.card_entries()` and `best`, see `vidfer.tasks.checkpoints.load_best`, give; the
    weights are the training's last without `best`. `path` ends with `.safetensors`.
    """
    from lightning.pytorch.callbacks import WeightAveraging
    from lightning.pytorch.utilities import rank_zero_info

    from vidfer.evaluation.folds import trained_people
    from vidfer.tasks.denoise import DenoiseTask

    if isinstance(task, DenoiseTask) and not task.generator_steps:
        raise VidferError("the generator took no step: nothing to export; give more crops_per_epoch or max_epochs")
    state, card = task.export()
    logged = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val_")}
    chosen = {"checkpoint": "last" if best is None else "best", **(best or {"validation": logged})}
    validation = chosen.pop("validation")
    card |= data.card_entries()
    if shares := _weighed_shares(task, data, card):
        card["data"]["class_shares"] = shares
    card |= {
        "recipe": {
            "task": {"name": type(task).__name__, **_settings(task.hparams)},
            "data": {"name": type(data).__name__, **_settings(data.hparams)},
            "averaged_weights": any(isinstance(each, WeightAveraging) for each in trainer.callbacks),  # type: ignore[attr-defined]
            "epochs": trainer.current_epoch,
            "steps": trainer.global_step,
            "exported": chosen,
        },
        "validation": validation,
        "intended_use": INTENDED_OF_DENOISERS if card["kind"] == "denoise" else INTENDED,
        "prohibited_use": PROHIBITED,
    }
    if isinstance(task, DenoiseTask):
        steps = {"batches": task.batches, "generator": task.generator_steps, "critic": task.critic_steps}
        card["recipe"]["steps"] = steps
    if weights := task.hparams.get("weights"):
        card["recipe"]["started_from"] = _started_from(card["kind"], weights)
    graph = _graph(card, state)
    save_weights(path, state, card, graph)
    card["metrics"] = []
    if known := sorted({*card["data"].get("people", {}).get("test", [])} & trained_people(card)):
        rank_zero_info(f"not measured: the weights that it was started from were trained on {', '.join(known)}")
    else:
        card["metrics"] = _measure(task, data, path, str(trainer.strategy.root_device))
    save_weights(path, state, card, graph)
    rank_zero_info(f"exported {path} with its card {path.with_suffix('.json').name}")


def _weighed_shares(task: Any, data: Any, card: Mapping[str, Any]) -> list[float]:  # noqa: ANN401 - duck-typed
    """Return the class shares as the loss weighed them; none where it weighed no classes."""
    weighting = task.hparams.get("class_weighting")
    if not weighting or "missing_classes" in card["data"]:
        return []
    seen = [share ** (1 - weighting) for share in data.class_shares()]
    return [round(share / sum(seen), 6) for share in seen]


def _graph(card: Mapping[str, Any], state: Mapping[str, Any]) -> bytes | None:
    """Make the network's graph for ONNX Runtime; a network that cannot be exported runs by torch alone."""
    from lightning.pytorch.utilities import rank_zero_info

    from vidfer.inference.graphs import make_graph

    try:
        return make_graph(dict(card), tuple(state))
    except VidferError as error:
        rank_zero_info(f"no graph for ONNX Runtime, so these weights need torch: {error}")
        return None


def _started_from(kind: str, weights: str) -> dict[str, Any]:
    """Return the recipe of weights that a training started from, and the people whom they know, see `trained_people`."""
    before = find_weights(kind, weights).card
    people = (before.get("data") or {}).get("people")
    return {**(before.get("recipe") or {}), **({"people": people} if people else {})}


def _settings(hparams: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what Lightning adds, and paths of this machine; files of weights are named by their digest."""
    kept = {name: value for name, value in hparams.items() if name[0] != "_" and name not in _FOLDERS}
    files = {name: kind for name, kind in KINDS.items() if str(kept.get(name)).endswith(".safetensors")}
    names = {"data": Path(kept["data"]).name} if "data" in kept else {}  # a folder or file, or the name of a data set
    return kept | names | {name: weights_digest(kind, kept[name]) for name, kind in files.items()}


def _measure(task: Any, data: Any, path: Path, device: str) -> list[dict[str, Any]]:  # noqa: ANN401 - any task and data
    """Measure on the test split, without the trainer: only the first of several processes is here."""
    from lightning.pytorch.utilities import rank_zero_info

    from vidfer.datamodules.clips import ClipDataModule
    from vidfer.datamodules.denoise import DenoiseDataModule
    from vidfer.datamodules.fer2013 import Fer2013DataModule
    from vidfer.evaluation.image import accuracy_line, choose_head, image_metrics

    if isinstance(data, DenoiseDataModule):
        return [_measure_denoiser(task, data)]
    found = []
    try:
        if isinstance(data, ClipDataModule):
            found = [_measure_clips(task, data)]
        elif isinstance(data, Fer2013DataModule):
            data.setup("test")
            heads = dict.fromkeys((OWN_HEAD, choose_head(str(path), data.labels)))
            cases = [(head, tta) for head in heads for tta in ("none", "flip")]
            images = data.data["test"]
            found = [image_metrics(images, path, tta=tta, head=head, device=device) for head, tta in cases]
    except VidferError as error:  # the weights are kept without a test split
        rank_zero_info(f"not measured on a test split: {error}")
    for each in found:
        rank_zero_info(accuracy_line(each["on"], each))
    return found


def _measure_denoiser(task: "DenoiseTask", data: "DenoiseDataModule") -> dict[str, Any]:
    import torch
    from lightning.pytorch.utilities import rank_zero_info

    from vidfer.tasks.denoise import mean_psnr, mean_ssim

    data.setup("test")
    total, n = torch.zeros(3, dtype=torch.float64), 0
    with torch.inference_mode():
        for batch in data.test_dataloader():
            noisy, clean = (batch[name].to(task.device, task.dtype) for name in ("noisy", "clean"))
            denoised = task.eval()(noisy)
            found = (mean_psnr(denoised, clean), mean_ssim(denoised, clean), mean_psnr(noisy, clean))
            total += torch.stack(found).double().cpu() * len(clean)
            n += len(clean)
    psnr, ssim, psnr_noisy = (round(value, 4) for value in (total / n).tolist())
    name, split = photographs(data)
    on = f"{name}, {n} crops with noise of sigma {', '.join(f'{sigma:g}' for sigma in data.sigmas)}"
    rank_zero_info(f"{on}: PSNR {psnr:.2f} dB, noisy {psnr_noisy:.2f} dB")
    return {"on": on, "split": split, "n": n, "psnr": psnr, "ssim": ssim, "psnr_noisy": psnr_noisy}


def photographs(data: "DenoiseDataModule") -> tuple[str, str]:
    """Name the photographs that a denoiser is measured on, and their split: a test only if not of the training."""
    same = data.test_root is not None and Path(data.test_root).resolve() == Path(data.root).resolve()
    if same and not is_div2k(Path(data.root)):
        return f"{data.report.source}, photographs of the training", "train"
    if same or data.test_root is None:
        return f"{data.report.source}, validation photographs", "val"
    return data.test_source, "test"


def _measure_clips(task: "ClipTask", data: "ClipDataModule") -> dict[str, Any]:
    from vidfer.tasks.fit import predict_all

    data.setup("test")
    probabilities, target = predict_all(task.classifier.cpu().eval(), data.test_dataloader())
    people = sorted({clip.person or "unknown" for clip in data.splits()["test"]})
    how = ", sound by each speaker's statistics" if data.features.standardise == "speaker" else ""
    return {"on": f"{data.source}, {', '.join(people)}{how}", **asdict(score(target, probabilities.argmax(1)))}


def card_lines(weights: Weights) -> list[str]:
    """Render what a card says: data, heads with their labelling conventions, figures, calibration, licence and use."""
    from vidfer.evaluation.calibration import calibration_lines
    from vidfer.evaluation.image import accuracy_line

    card = weights.card
    source = (card.get("data") or {}).get("source", "data not named")
    lines = [f"{weights.path.name}: {card['kind']} model, network {card['arch']}, trained on {source}"]
    heads = read_heads(weights) if card["kind"] == "image" else {}
    for head, labels in heads.items() if len(heads) > 1 or any(heads.values()) else ():
        lines.append(f"head {head}: {labels or 'labels not named'}" + (" (predicts clips)" if head == OWN_HEAD else ""))
    lines += [accuracy_line(each["on"], each) for each in card.get("metrics") or [] if "accuracy" in each]
    if isinstance(card.get("calibration"), dict):
        lines += calibration_lines(card["calibration"])
    named = {"licence": "licence", "intended use": "intended_use", "prohibited use": "prohibited_use"}
    return [*lines, *(f"{what}: {card[key]}" for what, key in named.items() if key in card)]


def require_weights(wanted: Mapping[str, str]) -> None:
    """Raise `UsageError` if there are no such weights, by kind."""
    try:
        for kind, name in wanted.items():
            find_weights(kind, name)
    except VidferError as error:
        raise UsageError(str(error)) from error


def require_own_card(kind: str, model: str) -> None:
    """Raise `UsageError` for pulled weights, whose card has to stay as the registry has it."""
    path = find_weights(kind, model).path
    if path.parent.resolve() == weights_folder().resolve():
        raise UsageError(
            f"{path} was pulled and keeps its card: copy it and its card to another folder, and name that file"
        )


def write_card(kind: str, model: str, digest: str, entries: dict[str, Any]) -> str:
    """Add entries to the card of weights that still have this digest, and return a line that says where it is.

    `metrics` replace those on the same data only. The digest of the weights, and so every key, stays the same.
    """
    if weights_digest(kind, model) != digest:
        raise VidferError(f"the {kind} weights {model} were changed while they were measured: run the command again")
    weights = find_weights(kind, model)
    place = weights.path.with_suffix(".json")
    card = {**weights.card, **entries}
    if "metrics" in entries:
        before = weights.card.get("metrics")
        kept = [each for each in before if isinstance(each, dict) and "on" in each] if isinstance(before, list) else []
        card["metrics"] = list({each["on"]: each for each in [*kept, *entries["metrics"]]}.values())
    try:
        write_atomic(place, json.dumps(card, indent=2) + "\n")
    except OSError as error:
        raise VidferError(f"the card {place} cannot be written: {error.strerror}") from error
    return f"written to {place}" + (", the card of vidfer's own weights" if model in SHIPPED[kind] else "")
