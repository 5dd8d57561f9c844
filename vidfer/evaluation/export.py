"""From a finished training to weights with a card."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import lightning
import torch
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.utilities import rank_zero_info

from vidfer.datamodules.clips import ClipDataModule
from vidfer.datamodules.denoise import DenoiseDataModule
from vidfer.datamodules.fer2013 import Fer2013DataModule
from vidfer.evaluation.image import evaluate_images
from vidfer.metrics.classification import score
from vidfer.tasks.clip import ClipTask
from vidfer.tasks.denoise import DenoiseTask, mean_psnr, mean_ssim
from vidfer.tasks.fit import answer_all
from vidfer.types import VidferError
from vidfer.weights.files import find_weights, save_weights

INTENDED: Final = (
    "Research and analysis of displayed facial and vocal expressions in recordings whose subjects agreed to it, as an "
    "average over many faces or windows. The answer names the expression shown, not what a person feels."
)
INTENDED_OF_DENOISERS: Final = (
    "Removing noise like that of a sensor from photographs and frames before they are analysed. What it restores is likely, "
    "not evidence: it is no means to make out who or what is shown."
)
PROHIBITED: Final = (
    "Decisions about people (hiring, schooling, insurance, policing, border control, medical or psychological diagnosis), "
    "surveillance, lie detection, and inferring emotions at work or in education."
)

_FOLDERS = ("root", "faces_root", "test_root", "store", "weights")


def export_weights(trainer: lightning.Trainer, task: Any, data: Any, path: Path) -> None:  # noqa: ANN401 - duck-typed
    """Write a trained network's weights and card, then measure it on its test split and add that to the card.

    Args:
        trainer: The trainer that ran to the end.
        task: A task with `export()`: the network's tensors, and the card's `kind`, `arch` and `arguments`.
        data: A data module with `card_entries()`: the card's `preprocessing`, `data` and `licence`.
        path: Where to: a `.safetensors` path.
    """
    if isinstance(task, DenoiseTask) and not task.generator_steps:
        raise VidferError(
            "the generator took no step, so there is nothing to export: give more crops_per_epoch or max_epochs"
        )
    state, card = task.export()
    logged = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val_")}
    card |= data.card_entries()
    if weighting := task.hparams.get("class_weighting"):
        seen = [share ** (1 - weighting) for share in data.class_shares()]
        card["data"]["class_shares"] = [round(share / sum(seen), 6) for share in seen]  # as the loss weighed them
    card |= {
        "recipe": {
            "task": {"name": type(task).__name__, **_settings(task.hparams)},
            "data": {"name": type(data).__name__, **_settings(data.hparams)},
            "averaged_weights": any(isinstance(each, WeightAveraging) for each in trainer.callbacks),  # type: ignore[attr-defined]
            "epochs": trainer.current_epoch,
            "steps": _steps(trainer, task),
        },
        "validation": logged,
        "intended_use": INTENDED_OF_DENOISERS if card["kind"] == "denoise" else INTENDED,
        "prohibited_use": PROHIBITED,
    }
    if task.hparams.get("weights"):
        card["recipe"]["started_from"] = find_weights(card["kind"], task.hparams["weights"]).card.get("recipe")
    if isinstance(data, DenoiseDataModule):
        card["metrics"] = [_measure_denoiser(task, data)]
    else:
        save_weights(path, state, card)
        device = str(trainer.strategy.root_device)
        clips = isinstance(task, ClipTask) and isinstance(data, ClipDataModule)
        card["metrics"] = _measure_clips(task, data) if clips else _measure(data, path, device)
    save_weights(path, state, card)
    rank_zero_info(f"exported {path} with its card {path.with_suffix('.json').name}")


def _settings(hparams: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what Lightning adds, and folders: where data lie says nothing about the weights."""
    return {name: value for name, value in hparams.items() if name[0] != "_" and name not in _FOLDERS}


def _steps(trainer: lightning.Trainer, task: Any) -> int | dict[str, int]:  # noqa: ANN401 - any task
    if isinstance(task, DenoiseTask):
        return {"batches": task.batches, "generator": task.generator_steps, "critic": task.critic_steps}
    return trainer.global_step


def _measure_denoiser(task: DenoiseTask, data: DenoiseDataModule) -> dict[str, Any]:
    """Measure without the trainer: under several processes, this one is alone here."""
    data.setup("test")
    total = torch.zeros(3, dtype=torch.float64)
    n = 0
    with torch.inference_mode():
        for batch in data.test_dataloader():
            noisy, clean = batch["noisy"].to(task.device), batch["clean"].to(task.device)
            denoised = task.eval()(noisy)
            found = (mean_psnr(denoised, clean), mean_ssim(denoised, clean), mean_psnr(noisy, clean))
            total += torch.stack(found).double().cpu() * len(clean)
            n += len(clean)
    psnr, ssim, psnr_noisy = (round(value, 4) for value in (total / n).tolist())
    on = f"{data.test_source}, {n} crops with noise of sigma {', '.join(f'{sigma:g}' for sigma in data.sigmas)}"
    rank_zero_info(f"{on}: PSNR {psnr:.2f} dB, noisy {psnr_noisy:.2f} dB")
    return {"on": on, "n": n, "psnr": psnr, "ssim": ssim, "psnr_noisy": psnr_noisy}


def _measure(data: Any, path: Path, device: str) -> list[dict[str, Any]]:  # noqa: ANN401 - any data module
    if isinstance(data, Fer2013DataModule):
        try:
            found = [
                evaluate_images(data.root, data.test_split, path, tta=tta, labels=data.labels, device=device)
                for tta in ("none", "flip")
            ]
        except VidferError as error:  # the weights are there: no test images is no reason to lose them
            rank_zero_info(f"not measured on test images: {error}")
            return []
    else:
        return []
    return _told(found)


def _measure_clips(task: ClipTask, data: ClipDataModule) -> list[dict[str, Any]]:
    """Measure a classifier of clips on its test split, if there is one."""
    data.setup("test")
    if "test" not in data.samples:
        rank_zero_info("not measured: nobody is held out to test on")
        return []
    probabilities, target = answer_all(task.classifier.cpu().eval(), data.test_dataloader())
    people = sorted({clip.person or "unknown" for clip in data.splits()["test"]})
    how = ", sound by each speaker's statistics" if data.options["standardise"] == "speaker" else ""
    return _told([{"on": f"{data.source}, {', '.join(people)}{how}", **asdict(score(target, probabilities.argmax(1)))}])


def _told(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for each in found:
        low, high = each["accuracy_ci95"]
        rank_zero_info(f"{each['on']}: accuracy {each['accuracy']:.3f} ({low:.3f} to {high:.3f}), n = {each['n']}")
    return found
