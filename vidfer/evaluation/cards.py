"""The facts in the pages of model cards and data cards, from the cards beside the weights and from `vidfer.datasets.sources`.

    python -m vidfer.evaluation.cards docs/cards/models.md docs/cards/data.md

writes anew what stands between `<!-- model: NAME -->` or `<!-- data: NAME -->` and the next `<!-- end -->` of these files. What
is written by hand about a model or a data set stands around these marks and stays.
"""

import json
import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from vidfer.datasets.sources import SOURCES
from vidfer.evaluation.markup import table
from vidfer.pipeline.atomic import write_atomic
from vidfer.pipeline.digest import file_digest
from vidfer.types import EMOTIONS, VidferError
from vidfer.weights.bundles import SHIPPED_BUNDLE, read_bundle
from vidfer.weights.files import SHIPPED, Card, Weights, find_weights
from vidfer.weights.hub import DIGESTS

_PART: Final = re.compile(r"(<!-- (model|data): (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
_HEADER: Final = ("entry", "value")
_PREPROCESSING: Final = {
    "image_weights": "embeddings of faces by the image weights of its training",
    "image_size": "images of {} px",
    "size": "images of {} px",
    "crop_share": "the middle {} of the crop",
    "statistics": "contrast by the {}'s own mean and deviation",
    "features": "{}",
    "sampling_rate": "{} Hz",
    "win_dur": "windows of {} s",
    "hop_dur": "one every {} s",
    "loudness": "recordings at {} LUFS",
    "max_frames": "at most {} face images",
    "sigmas": "noise of sigma {}",
}
"""What a card's `preprocessing` says, in words; entries that are missing or null are left out."""


def shipped_names() -> list[str]:
    """List the names of all weights that ship with vidfer."""
    return [name for names in SHIPPED.values() for name in names]


def refresh(page: str) -> str:
    """Write the facts of a page between its marks anew.

    Raises:
        VidferError: A mark names no weights or data set, or has no end.
    """
    written = _PART.sub(lambda part: f"{part[1]}\n{facts(part[2], part[3])}\n\n{part[5]}", page)
    marks = len(re.findall(r"<!-- (?:model|data): ", page))
    if marks != len(_PART.findall(page)):
        raise VidferError(f"one of {marks} marks such as '<!-- model: NAME -->' is not followed by '<!-- end -->'")
    return written


def facts(kind: str, name: str) -> str:
    """Render the facts on a model or a data set as Markdown."""
    if name not in (known := shipped_names() if kind == "model" else [*SOURCES]):
        raise VidferError(f"no {kind} '{name}': there are {', '.join(known)}")
    return _model_facts(name) if kind == "model" else _data_facts(name)


def _model_facts(name: str) -> str:
    weights = find_weights(next(kind for kind, names in SHIPPED.items() if name in names), name)
    card = weights.card
    default = name in read_bundle(SHIPPED_BUNDLE).names.values() or card["kind"] in {"occlusion", "detector"}
    rows = [
        ("kind, network", f"{card['kind']}, `{card['arch']}`, {_count(_size(weights))} numbers"),
        ("used by default", "yes" if default else f"no: `--{card['kind']}-model {name}`"),
        ("file", f"`vidfer/weights/{weights.path.name}`, {weights.path.stat().st_size / 1e6:.1f} MB"),
        ("digest (blake3)", f"`{card['blake3']}`"),
        ("reads", _reads(card["preprocessing"])),
        *_data_rows(card["data"]),
        ("training", _recipe(card.get("recipe") or {})),
        *_calibration_rows(card),
        ("licence", _sentence(card["licence"].removeprefix("Weights: "))),
        ("intended use", card["intended_use"]),
        ("not to be used for", card["prohibited_use"]),
    ]
    parts = [table(_HEADER, rows), *_scores(card.get("metrics") or []), *_groups(card.get("groups") or [])]
    return "\n\n".join(parts)


def _size(weights: Weights) -> int:
    """Count the numbers in a weights file, from its header."""
    from safetensors import safe_open

    with safe_open(weights.path, "numpy") as stored:
        return sum(math.prod(stored.get_slice(key).get_shape()) for key in stored.keys())  # noqa: SIM118 - no mapping


def _count(number: float) -> str:
    return f"{number / 1e6:.2f} million" if number >= 1e6 else f"{number:,}"


def _reads(preprocessing: Mapping[str, Any]) -> str:
    found = []
    for key, words in _PREPROCESSING.items():
        if (value := preprocessing.get(key)) is not None:
            text = ", ".join(f"{each:g}" for each in value) if isinstance(value, list) else value
            found.append(words.format(f"{text:g}" if isinstance(text, float) else text))
    return ", ".join([*found, *(["gray"] if preprocessing.get("in_chans") == 1 else [])]) or "see the card"


def _data_rows(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say what was trained on and what was held out, as far as the card counts it."""
    rows = [("trained on", str(data["source"]))]
    titles = {"found": "found", "trained_on": "samples in training", "validated_on": "held out to validate"}
    for key, title in {**titles, "held_out": "held out", "dropped": "dropped before", "kept": "kept"}.items():
        if key in data:
            rows.append((title, _counts(data[key])))
    people = data.get("people") or {}
    if people:
        tested = ", ".join(people["test"]) or "nobody"
        rows.append(("people", f"{len(people['train'])} in training; tested on {tested}"))
    if "class_shares" in data:
        shares = (f"{name} {share:.3f}" for name, share in zip(EMOTIONS, data["class_shares"], strict=True))
        rows.append(("class shares of the training", ", ".join(shares)))
    return rows


def _counts(value: Any) -> str:  # noqa: ANN401 - of JSON
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_counts(each)}" for name, each in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].removesuffix(".") + "."


def _recipe(recipe: Mapping[str, Any]) -> str:
    task = recipe.get("task") or {}
    told = [
        task.get("name") or (f"`{recipe['script']}`" if "script" in recipe else ""),
        f"optimizer {task['optimizer']}" if "optimizer" in task else str(recipe.get("optimizer", "")),
        f"epochs: {recipe['epochs']}" if "epochs" in recipe else "",
        f"steps: {_counts(recipe['steps'])}" if "steps" in recipe else "",
        "goes on from other weights, see the card" if "started_from" in recipe else "",
    ]
    return "; ".join(each for each in told if each) or "see the card"


def _calibration_rows(card: Card) -> list[tuple[str, str]]:
    titles = {"calibration": "calibration", "pooling": "calibration of a person, pooled"}
    rows = [(title, _calibrated(card[key])) for key, title in titles.items() if isinstance(card.get(key), dict)]
    return rows or ([("calibration", "none")] if card.get("classes") else [])


def _calibrated(found: Mapping[str, Any]) -> str:
    return (
        f"temperature {found['temperature']:.3f}, fitted on {found['fitted_on']} (n = {found['n_fitted']}); ECE "
        f"{found['ece_before']:.3f} before, {found['ece_after']:.3f} after, on {found['measured_on']} (n = {found['n_measured']})"
    )


def _scores(metrics: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """Tabulate measured figures: of classifiers with the recall of each class, of others as the card names them."""
    classified = [each for each in metrics if "accuracy" in each]
    if classified:
        yield table(
            ("measured on", "n", "accuracy (95 % interval)", "UAR", "macro F1"),
            [
                (each["on"], each["n"], _accuracy(each), f"{each['uar']:.3f}", f"{each['f1_macro']:.3f}")
                for each in classified
            ],
        )
        yield "Recall of each class, with the number of samples that show it:"
        yield table(("measured on", *EMOTIONS), [(each["on"], *_recalls(each["confusion"])) for each in classified])
    for each in metrics:
        if each not in classified:
            figures = ", ".join(f"{key} {value:g}" for key, value in each.items() if key not in ("on", "n"))
            yield f"Measured on {each['on']} (n = {each['n']:,}): {figures}."


def _groups(measured: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """Tabulate what was measured of groups of people."""
    for each in measured:
        yield f"By {each['by']}, {each['on']}:"
        rows = [
            (name, one["people"], one["n"], _accuracy(one), _uar(one), *_shares(one["recall"]))
            for name, one in each["groups"].items()
        ]
        yield table(("group", "people", "n", "accuracy (95 % interval)", "UAR", *EMOTIONS), rows)


def _uar(figures: Mapping[str, Any]) -> str:
    ends = figures["uar_people_ci95"]
    return f"{figures['uar']:.3f}" + (f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else "")


def _shares(recall: Mapping[str, float]) -> list[str]:
    return [f"{recall[name]:.2f}" if name in recall else "not in the data" for name in EMOTIONS]


def _accuracy(scores: Mapping[str, Any]) -> str:
    low, high = scores["accuracy_ci95"]
    return f"{scores['accuracy']:.3f} ({low:.3f} to {high:.3f})"


def _recalls(confusion: Sequence[Sequence[int]]) -> list[str]:
    return [
        f"{row[at] / sum(row):.2f} (n = {sum(row)})" if sum(row) else "not in the data"
        for at, row in enumerate(confusion)
    ]


def _data_facts(name: str) -> str:
    source = SOURCES[name]
    parts = ", ".join(f"{part} {count:,}" for part, count in source.published.items())
    rows = [
        ("what", source.title),
        ("publisher's page", f"<{source.page}>"),
        ("how it is had", source.get),
        ("terms", source.terms),
        ("items as published", parts or "differ by version"),
        ("looked for in", f"`{source.folder}`: {source.layout}"),
        ("check", f"`vidfer data check {name}`"),
    ]
    return table(_HEADER, rows)


def write_page(path: Path) -> None:
    """Write the facts in a page anew, see `refresh`."""
    write_atomic(path, refresh(path.read_text("utf-8")))


def digests(folder: Path = SHIPPED_BUNDLE) -> dict[str, str]:
    """Digest the files of shipped weights, as `vidfer.weights.hub.shipped_digests` is to have them."""
    files = sorted(path for path in folder.iterdir() if path.suffix in (".json", ".onnx", ".safetensors"))
    return {path.name: file_digest(path) for path in files if path.name != DIGESTS}


if __name__ == "__main__":
    write_atomic(SHIPPED_BUNDLE / DIGESTS, json.dumps(digests(), indent=1) + "\n")
    for each in sys.argv[1:]:
        write_page(Path(each))
