"""What a bundle reaches on photographs, face images and people that none of its models was trained on."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from vidfer.evaluation import Notify
from vidfer.evaluation.analysed import measure_clips, never_seen
from vidfer.evaluation.figures import BINS, calibration_record, persons_interval, pool_folds, summarise
from vidfer.evaluation.folds import trained_people
from vidfer.evaluation.held_out import (
    Data,
    NotHeldOutError,
    build_clips,
    build_module,
    predict_held_out,
    read_split,
    why,
)
from vidfer.evaluation.page import render_page
from vidfer.inference.decision import calibrate
from vidfer.metrics.classification import mean_interval, reliability, score
from vidfer.metrics.image import psnr, ssim
from vidfer.stages.chain import ChainOptions, build_rules
from vidfer.stages.fitting import fitting
from vidfer.types import EMOTIONS
from vidfer.weights.bundles import Bundle, read_bundle
from vidfer.weights.files import find_weights, read_calibration

FORMAT: Final = 1

_CLIP_KINDS: Final = ("fusion", "faces", "audio")


def evaluate_bundle(
    folder: Path,
    data: Mapping[str, Data],
    further: Sequence[Data] = (),
    folds: Sequence[Mapping[str, Any]] = (),
) -> dict[str, bytes]:
    """Measure a bundle, see `measure_bundle`, and return `evaluation.json`, `evaluation.md` and `evaluation.html`.

    `folds` are the evaluations of bundles that were trained in the same way without some of the people, see `pool_folds`.
    """
    found = {**measure_bundle(folder, data, further), "folds": pool_folds(folds) if folds else {}}
    cards = {kind: find_weights(kind, name).card for kind, name in read_bundle(folder).names.items()}
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    return {"evaluation.json": text.encode(), **render_page(found, cards)}


def measure_bundle(
    folder: Path, data: Mapping[str, Data], further: Sequence[Data] = (), *, notify: Notify = lambda _: None
) -> dict[str, Any]:
    """Measure a bundle on what the data modules of its trainings, by kind of weights, and further ones of clips hold out as test.

    Clips go through the very chain of `vidfer analyze --models`, recordings of sound by their sound alone; paired clips, which
    are no files, by the same rule. Clips of persons whom any of the models was trained on are left out.

    Returns `format`, `bundle` and `description`; `denoise` and `image`: figures, or `missing`, the reason; `clips`: for each set
    of test clips `on`, `left_out`, `notes` and what `summarise` returns; `missing`: by kind, or number of the
    further ones, why there are no test clips.
    """
    bundle = read_bundle(folder)
    found: dict[str, Any] = {"format": FORMAT, "bundle": bundle.name, "description": bundle.description}
    for kind, measure in (("denoise", _measure_denoiser), ("image", _measure_images)):
        if kind not in bundle.models:
            found[kind] = {"missing": f"the bundle has no {kind} model"}
        elif kind not in data:
            found[kind] = {"missing": "it was not trained by this pipeline: its card says what it reaches"}
        else:
            try:
                found[kind] = measure(bundle.names[kind], data[kind])
            except NotHeldOutError as error:
                found[kind] = {"missing": why(error, data[kind])}
    groups: dict[str, dict[str, Any]] = {}
    found["missing"] = {}
    clips = {kind: data[kind] for kind in _CLIP_KINDS if kind in bundle.models and kind in data}
    clips |= {f"further test clips {at}": each for at, each in enumerate(further, start=1)}
    for name, each in clips.items():
        try:
            _add_group(bundle, each, groups, notify)
        except NotHeldOutError as error:
            found["missing"][name] = why(error, each)
    names = Counter(group["on"] for group in groups.values())
    found["clips"] = [
        {**group, "on": f"{group['on']} of {', '.join(group['persons']) or 'unknown persons'}"}
        if names[group["on"]] > 1  # sets of one name are told apart by who is in them
        else group
        for group in groups.values()
    ]
    return found


def _add_group(bundle: Bundle, data: Data, groups: dict[str, dict[str, Any]], notify: Notify) -> None:
    """Measure the test clips of a data module, unless those of another one before are the same."""
    from vidfer.datamodules.paired import PairedDataModule

    module = build_clips(data, [])
    clips, on = module.splits()["test"], f"{module.source}, test clips"
    if not clips:
        raise NotHeldOutError(f"nobody of {module.source} is held out as test people")
    paired = isinstance(module, PairedDataModule)
    key = json.dumps([paired, on, sorted(str(clip.path) for clip in clips)])
    if key not in groups:
        groups[key] = _measure_paired(bundle, data, on) if paired else measure_clips(bundle, on, clips, notify=notify)


def _measure_paired(bundle: Bundle, data: Data, on: str) -> dict[str, Any]:
    """Predict the paired test clips by the rule of the chain, see `vidfer.evaluation.paired`."""
    from vidfer.datamodules.features import collate_clips
    from vidfer.evaluation.paired import predict_pairs
    from vidfer.inference.classifiers import FacesModel

    chain = ChainOptions(models=bundle.folder)
    models, _ = fitting(chain.choice)
    reads = {"frames", "sound", *(FacesModel(models["faces"]).reads if "faces" in models else ())}
    module, notes = build_clips(data, sorted(reads)), list[str]()
    allowed = {clip.name for clip in never_seen(bundle, module.splits()["test"], notes.append)}
    samples = [each for each in read_split(module, "test") if each.name in allowed]
    found = predict_pairs(collate_clips(samples), models, build_rules(chain))
    rows = []
    for at, sample in enumerate(samples):
        row: dict[str, Any] = {"clip": sample.name, "person": sample.person, "truth": EMOTIONS[sample.target]}
        for part, distributions in found.items():
            row[part] = EMOTIONS[int(distributions[at].argmax())]
            row[f"{part}_p"] = distributions[at].round(6).tolist()
        rows.append(row)
    notes.append("whoever speaks is not who is seen: the faces are those of people not known, and show the same class")
    return {"on": on, "left_out": module.left_out["test"], "notes": [note.strip() for note in notes], **summarise(rows)}


def _measure_images(name: str, data: Data) -> dict[str, Any]:
    """Score an image model on the test images of its data, with its probabilities as its card calibrates them."""
    weights = find_weights("image", name)
    found = predict_held_out("image", weights.path, data, "test")
    if seen := sorted({each for each in found.person if each} & trained_people(weights.card)):
        raise NotHeldOutError(f"the weights that it was started from were trained on {', '.join(seen)}")
    logits, target = np.concatenate(found.logits), np.array(found.target)
    probabilities = calibrate(logits, read_calibration(weights))
    preds = probabilities.argmax(1)
    persons, right = np.array([each or "" for each in found.person]), preds == target
    counts = {
        name: [int(right[persons == name].sum()), int((persons == name).sum())] for name in sorted({*persons} - {""})
    }
    known = "" not in persons
    return {
        "on": f"{found.on}, averaged with the mirrored face",
        "persons": counts,
        "persons_ci95": persons_interval([(hits, n) for hits, n in counts.values()]) if known else None,
        **asdict(score(target, preds)),
        "calibration": calibration_record(reliability(probabilities, target, BINS)),
    }


def _measure_denoiser(name: str, data: Data) -> dict[str, Any]:
    """Measure what a denoiser restores of crops of photographs that it was not trained on: means over photographs."""
    from vidfer.datamodules.denoise import DenoiseDataModule, FixedCrops
    from vidfer.evaluation.export import photographs
    from vidfer.inference.denoiser import Denoiser

    module = build_module(data)
    if not isinstance(module, DenoiseDataModule):
        raise NotHeldOutError(f"{data['class_path']} is no data module of photographs that vidfer knows")
    module.setup("test")
    source, split = photographs(module)
    if split == "train":
        raise NotHeldOutError(f"there are only {source}: name others as test_root")
    crops, denoiser = module.data.get("test", module.data["val"]), Denoiser(name)
    assert isinstance(crops, FixedCrops)
    rows = []
    for number, (_, sigma) in enumerate(crops.items):
        pair = crops[number]
        noisy, clean = (((each.numpy().transpose(1, 2, 0) + 1) * 127.5) for each in (pair["noisy"], pair["clean"]))
        before = noisy.round().astype(np.uint8) if module.clip_noise else noisy
        after, truth = denoiser(before[None])[0], clean.round().astype(np.uint8)
        values = [psnr(before, truth), psnr(after, truth), ssim(before, truth), ssim(after, truth)]
        rows.append((crops.photo[number], sigma, values))
    levels = {f"{sigma:g}": _restored([row for row in rows if row[1] == sigma]) for sigma in module.sigmas}
    return {"on": source, "split": split, **_restored(rows), "sigmas": levels}


def _restored(rows: Sequence[tuple[int, float, list[float]]]) -> dict[str, Any]:
    """Average over photographs, with the 95 % interval of the gain by Student's t over photographs; none with only one."""
    photos = sorted({photo for photo, _, _ in rows})
    means = np.array([np.mean([values for each, _, values in rows if each == photo], axis=0) for photo in photos])
    found: dict[str, Any] = {"n": len(photos), "n_crops": len(rows)}
    for measure, (before, after) in {"psnr": means[:, :2].T, "ssim": means[:, 2:].T}.items():
        interval = mean_interval(after - before)
        found |= {
            f"{measure}_noisy": round(float(before.mean()), 4),
            measure: round(float(after.mean()), 4),
            f"{measure}_gain": round(float((after - before).mean()), 4),
            f"{measure}_gain_ci95": interval and [round(float(end), 4) for end in interval],
        }
    return found
