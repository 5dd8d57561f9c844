"""The evaluation page of a bundle: what was trained on what, every figure with n and interval, calibration, limits, uses.

The same figures and cards give the same bytes: there is no time and no path on the page.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from vidfer.evaluation.export import INTENDED, PROHIBITED
from vidfer.evaluation.figures import PARTS
from vidfer.evaluation.markup import Block, drawn, pages, table
from vidfer.types import DISPLAYED, EMOTIONS

Record = Mapping[str, Any]

FRAGILE: Final = 30
"""Predictions below which a temperature is called a rough guess, and an accuracy uncertain."""

_MODELS: Final = {
    "denoise": "denoiser",
    "image": "image model",
    "audio": "classifier of sound",
    "faces": "classifier of a person's faces",
    "fusion": "classifier of faces and sound",
}

_LIMITS: Final = (
    "Intervals of 95 % describe chance in the choice of clips or persons alone, not what other cameras, languages, ages or "
    "cultures do.",
    "Clips of one person, and images of one clip, are no independent samples. The interval over persons takes that into account; "
    "with few persons it is wide, and the other one is too narrow for people at large.",
    "Acted expressions are clearer than those of everyday life: expect less there.",
    DISPLAYED,
)


def render_page(found: Record, cards: Mapping[str, Record]) -> dict[str, bytes]:
    """Render what `measure_bundle` returned, with the cards of the bundle's models by kind.

    Returns `evaluation.md` and `evaluation.html`, which needs no other file.
    """
    return pages(f"{found['bundle']}: evaluation", "evaluation", _blocks(found, cards))


def _blocks(found: Record, cards: Mapping[str, Record]) -> Iterator[Block]:
    yield f"# {found['bundle']}: evaluation", None
    if found["description"]:
        yield found["description"], None
    for warning in _warnings(found, cards):
        yield f"> {warning}", None
    if lines := list(_short(found)):
        yield "\n".join(f"- {line}" for line in lines), None
    yield from _clips(found)
    yield "## Image model", None
    yield from _image(found["image"])
    yield "## Denoiser", None
    yield from _denoiser(found["denoise"])
    yield "## What was trained on what", None
    yield (
        table(("model", "network", "data", "trained on", "persons"), [_trained(*each) for each in cards.items()]),
        None,
    )
    yield "## Calibration", None
    for kind, card in cards.items():
        if kind != "denoise":
            yield f"**{_MODELS[kind].capitalize()}**: {_calibration(card)}", None
    yield "## Limits", None
    yield "\n".join(f"- {line}" for line in _LIMITS), None
    yield "## Use", None
    yield f"**Intended**: {INTENDED}", None
    yield f"**Prohibited**: {PROHIBITED}", None
    licences = dict.fromkeys(str(card["licence"]) for card in cards.values() if card.get("licence"))
    if licences:
        yield "**Terms**: " + " ".join(licences), None


def _clips(found: Record) -> Iterator[Block]:
    yield "## Predictions for clips", None
    if not found["clips"] and not found["missing"]:
        yield "Nothing of this bundle was trained on clips by this pipeline, so that there are no test clips.", None
    for kind, why in found["missing"].items():
        yield f"{_MODELS.get(kind, kind).capitalize()}: no test clips, since {why}.", None
    for group in found["clips"]:
        yield from _group(group)
    if found.get("folds"):
        yield "## Cross-validation by persons", None
        yield (
            "Every clip is predicted by models that were trained in the same way without its person. These figures are of the "
            "recipe: the bundle's own models were trained on most of these persons.",
            None,
        )
    for on, group in found.get("folds", {}).items():
        yield from _group({**group, "on": f"{on}, {group['folds']} folds", "notes": [], "left_out": {}})


def _warnings(found: Record, cards: Mapping[str, Record]) -> Iterator[str]:
    """Say first what makes figures doubtful."""
    unknown = [
        f"the {_MODELS[kind]} ({_source(card)})"
        for kind, card in cards.items()
        if kind != "denoise" and not _people(card)
    ]
    if unknown:
        yield (
            f"**Persons are not known** in what was trained: {', '.join(unknown)}. The same person may have been trained on and "
            "tested, so that figures may be too high."
        )
    for group in found["clips"]:
        if group["unknown_persons"]:
            count = f"{group['unknown_persons']} of {group['n']}"
            yield f"**Persons are not known** in {count} test clips of {group['on']}: there the interval over persons is missing."
        if group["n"] < FRAGILE:
            yield f"**Only {group['n']} test clips** of {group['on']}: see the width of the intervals."


def _short(found: Record) -> Iterator[str]:
    """Say in a line each what was reached."""
    folds = [{**group, "on": f"{on}, in {group['folds']} folds"} for on, group in found.get("folds", {}).items()]
    for group in [*folds, *found["clips"]]:
        for part, each in [item for item in group["parts"].items() if item[1]["n"]][:1]:
            ends = {"clips": each["accuracy_ci95"], "persons": each["persons_ci95"] or (0, 0)}
            over = max(ends, key=lambda name: ends[name][1] - ends[name][0])  # the wider one, which promises less
            interval = _interval(ends[over])
            yield (
                f"{PARTS[part]} on {group['on']}: accuracy **{each['accuracy']:.3f}** (95 % over {over}: {interval}, "
                f"n = {each['n']})"
            )
    if "missing" not in (image := found["image"]):
        interval = _interval(image["accuracy_ci95"])
        yield f"image model on {image['on']}: accuracy **{image['accuracy']:.3f}** (95 %: {interval}, n = {image['n']})"
    if "missing" not in (denoiser := found["denoise"]):
        ends = denoiser["psnr_gain_ci95"]
        interval = f"95 %: {_interval(ends, 2)}, " if ends else ""
        yield f"denoiser on {denoiser['on']}: **{denoiser['psnr_gain']:.2f} dB** gained ({interval}n = {denoiser['n']})"


def _known(persons: Collection[Any]) -> str:
    """Say how many persons are known."""
    return f"{len(persons)} known person{'s' * (len(persons) > 1)}" if persons else "persons not known"


def _group(group: Record) -> Iterator[Block]:
    persons = _known(group["persons"])
    yield f"### {group['on']}", None
    known = "" if group["unknown_persons"] else ", none of whom any model of the bundle was trained on"
    yield f"{group['n']} clips, {persons}{known}.", None
    lines = [*group["notes"], *(f"left out {len(names)}: {why}" for why, names in group["left_out"].items())]
    if lines:
        yield "\n".join(f"- {line}" for line in lines), None
    rows = [_figures(part, each) for part, each in group["parts"].items()]
    yield table(("prediction", "n", "accuracy", "over clips", "over persons", "UAR", "ECE"), rows), None
    yield (
        f"Intervals of 95 %: Wilson's over clips; Student's t over persons as clusters. {_missing(group)}".strip(),
        None,
    )
    shown = (
        ("fused", "faces", "sound") if "faces" in group["parts"] else ("fused",)
    )  # of recordings, sound is the answer
    for part, each in group["parts"].items():
        if part in shown and each["n"]:
            yield drawn(PARTS[part], each["confusion"], (*EMOTIONS, "uncertain", "none"), each["calibration"])
    main = next((part for part in PARTS if part in group["parts"]), "")
    people = group["parts"][main]["persons"] if main else {}
    if len(people) > 1:
        header = ("person", f"right ({PARTS[main]})", "n", "accuracy")
        yield table(header, [(name, right, n, f"{right / n:.2f}") for name, (right, n) in people.items()]), None


def _figures(part: str, each: Record) -> tuple[object, ...]:
    if not each["n"]:
        return PARTS[part], 0, "none predicted", "", "", "", ""
    over = each["persons_ci95"]
    calibration = each["calibration"]
    return (
        PARTS[part],
        each["n"],
        f"**{each['accuracy']:.3f}**",
        _interval(each["accuracy_ci95"]),
        _interval(over) if over else _no_interval(each),
        f"{each['uar']:.3f}",
        f"{calibration['ece']:.3f}" if calibration else "",
    )


def _no_interval(each: Record) -> str:
    """Say why there is no interval over persons."""
    if sum(n for _, n in each["persons"].values()) < each["n"]:
        return "not known"
    return "one person" if len(each["persons"]) == 1 else "all alike"


def _missing(group: Record) -> str:
    texts = []
    for part, each in group["parts"].items():
        if each["missing"]:
            how = "left out" if part == "sound" else "counted as wrong"
            texts.append(f"{PARTS[part]}: {each['missing']} clips without a prediction {how}.")
        if each["uncertain"]:
            texts.append(f"{PARTS[part]}: {each['uncertain']} uncertain counted as wrong.")
    return " ".join(texts)


def _image(found: Record) -> Iterator[Block]:
    if "missing" in found:
        yield f"Not measured: {found['missing']}.", None
        return
    persons = _known(found["persons"])
    over = f"; over persons {_interval(found['persons_ci95'])}" if found["persons_ci95"] else ""
    yield (
        (
            f"{found['on']}, {persons}: accuracy **{found['accuracy']:.3f}** ({_interval(found['accuracy_ci95'])}, Wilson's over "
            f"images{over}, n = {found['n']}), UAR {found['uar']:.3f}, macro F1 {found['f1_macro']:.3f}, ECE "
            f"{found['calibration']['ece']:.3f}."
        ),
        None,
    )
    yield drawn("image model", found["confusion"], EMOTIONS, found["calibration"])


def _denoiser(found: Record) -> Iterator[Block]:
    if "missing" in found:
        yield f"Not measured: {found['missing']}.", None
        return
    note = ", held out of the training, and watched during it" if found["split"] == "val" else ""
    yield f"{found['on']}{note}: {found['n_crops']} crops of {found['n']} photographs with Gaussian noise.", None
    rows = [_restored("all", found), *(_restored(sigma, each) for sigma, each in found["sigmas"].items())]
    header = ("sigma", "PSNR noisy", "denoised", "gain in dB", "SSIM noisy", "denoised", "gain")
    yield table(header, rows), None
    yield "Means over photographs; intervals of 95 % of the gain by Student's t over photographs.", None


def _restored(sigma: str, each: Record) -> tuple[object, ...]:
    cells: list[object] = [sigma]
    for measure, digits in (("psnr", 2), ("ssim", 3)):
        interval = each[f"{measure}_gain_ci95"]
        ends = f" ({_interval(interval, digits)})" if interval else " (one photograph: no interval)"
        cells += [f"{each[f'{measure}_noisy']:.{digits}f}", f"{each[measure]:.{digits}f}"]
        cells.append(f"{each[f'{measure}_gain']:.{digits}f}{ends}")
    return tuple(cells)


def _trained(kind: str, card: Record) -> tuple[object, ...]:
    data = card.get("data") or {}
    count = data.get("trained_on", data.get("kept", "not known"))
    what = {"denoise": "photographs", "image": "images"}.get(kind, "clips")
    people = _people(card)
    persons = "; ".join(f"{split} {len(names)}" for split, names in people.items() if names) or "**not known**"
    return (
        _MODELS[kind],
        card["arch"],
        _source(card),
        f"{count} {what}",
        "no people needed" if kind == "denoise" else persons,
    )


def _people(card: Record) -> dict[str, list[str]]:
    """Return the known persons of a card by split; nothing where one of them, or all, are not known."""
    data = card.get("data") or {}
    people = data.get("people")
    if not isinstance(people, dict) or data.get("unknown_persons") or data.get("persons", "known") != "known":
        return {}
    return {} if any("unknown" in names for names in people.values()) else people


def _source(card: Record) -> str:
    return str((card.get("data") or {}).get("source", "data not named"))


def _calibration(card: Record) -> str:
    entry = card.get("calibration")
    if not isinstance(entry, dict):
        return f"not calibrated: {card.get('not_calibrated', 'its card does not say why')}."
    text = f"temperature {entry['temperature']:.3f}, fitted on {entry.get('fitted_on')}, n = {entry.get('n_fitted')}"
    text += " (few: a rough guess)" if (entry.get("n_fitted") or 0) < FRAGILE else ""
    for name, values in (("predicted at the others' temperature", entry.get("folds")), ("", entry)):
        if values and "ece_after" in values:
            on = name or f"on {entry.get('measured_on')}, n = {entry.get('n_measured')}"
            text += f"; {on}: ECE {values['ece_before']:.3f} before and {values['ece_after']:.3f} after, NLL "
            text += f"{values['nll_before']:.3f} and {values['nll_after']:.3f} nats"
    return text + (f"; not measured on others: {entry['not_measured']}" if "not_measured" in entry else "") + "."


def _interval(ends: Sequence[float], digits: int = 3) -> str:
    return f"{ends[0]:.{digits}f} to {ends[1]:.{digits}f}"
