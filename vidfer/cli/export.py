"""From a finished training to weights with a card."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import lightning
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.utilities import rank_zero_info

from vidfer.cli.evaluate import evaluate_images, evaluate_sound
from vidfer.datamodules.fer2013 import Fer2013DataModule
from vidfer.datamodules.ravdess import RavdessDataModule
from vidfer.store import Store
from vidfer.weights.registry import find_weights, save_weights

INTENDED: Final = (
    "Research and analysis of displayed facial and vocal expressions in recordings whose subjects agreed to it, as an "
    "average over many faces or windows. The answer names the expression shown, not what a person feels."
)
PROHIBITED: Final = (
    "Decisions about people (hiring, schooling, insurance, policing, border control, medical or psychological diagnosis), "
    "surveillance, lie detection, and inferring emotions at work or in education."
)

_FOLDERS = ("root", "test_root", "store", "weights")


def export_weights(trainer: lightning.Trainer, task: Any, data: Any, path: Path) -> None:  # noqa: ANN401 - duck-typed
    """Write a trained network's weights and card, then measure it on its test split and add that to the card.

    Args:
        trainer: The trainer that ran to the end.
        task: A task with `export()`: the network's tensors, and the card's `kind`, `arch` and `arguments`.
        data: A data module with `card_entries()`: the card's `preprocessing`, `data` and `licence`.
        path: Where to: a `.safetensors` path.
    """
    state, card = task.export()
    logged = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val_")}
    card |= data.card_entries()
    card |= {
        "recipe": {
            "task": {"name": type(task).__name__, **_settings(task.hparams)},
            "data": {"name": type(data).__name__, **_settings(data.hparams)},
            "averaged_weights": any(isinstance(each, WeightAveraging) for each in trainer.callbacks),  # type: ignore[attr-defined]
            "epochs": trainer.current_epoch,
            "steps": trainer.global_step,
        },
        "validation": logged,
        "intended_use": INTENDED,
        "prohibited_use": PROHIBITED,
    }
    if task.hparams.get("weights"):
        card["recipe"]["started_from"] = find_weights(card["kind"], task.hparams["weights"]).card.get("recipe")
    save_weights(path, state, card)
    rank_zero_info(f"exported {path} with its card {path.with_suffix('.json').name}")
    card["metrics"] = measured = _measure(data, path, str(trainer.strategy.root_device))
    save_weights(path, state, card)
    for entry in measured:
        low, high = entry["accuracy_ci95"]
        rank_zero_info(f"{entry['on']}: accuracy {entry['accuracy']:.3f} ({low:.3f} to {high:.3f}), n = {entry['n']}")


def _settings(hparams: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what Lightning adds, and folders: where data lie says nothing about the weights."""
    return {name: value for name, value in hparams.items() if name[0] != "_" and name not in _FOLDERS}


def _measure(data: Any, path: Path, device: str) -> list[dict[str, Any]]:  # noqa: ANN401 - any data module
    if isinstance(data, Fer2013DataModule) and (data.root / data.test_split).is_dir():
        found = {
            f"{data.source}, {data.test_split}{note}": evaluate_images(
                data.root, data.test_split, path, flip=flip, device=device
            )
            for flip, note in ((False, ""), (True, ", averaged with the mirrored face"))
        }
    elif isinstance(data, RavdessDataModule):
        actors = data.actors["test"]
        who = ", ".join(map(str, sorted(actors)))
        found = {f"{data.source}, actors {who}": evaluate_sound(data.root, actors, path, Store(data.store))}
    else:
        return []
    return [{"on": on, **asdict(scores)} for on, scores in found.items()]
