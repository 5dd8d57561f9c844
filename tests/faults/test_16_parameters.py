"""Whatever parameter of a stage changes: that stage and those after it are computed again, and no others."""

import inspect
import types
import typing
from dataclasses import fields, is_dataclass, replace
from importlib import import_module
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vidfer.datasets.contents import CONTENTS
from vidfer.pipeline.runner import plan
from vidfer.pipeline.store import Store
from vidfer.stages.chain import ChainOptions, build_chain
from vidfer.stages.faces import Denoising
from vidfer.stages.fit import decisive_settings
from vidfer.stages.identify import IdentifyStage

NEUTRAL = {
    "timeout",
    "compute",
    "denoise_model",
    "image_model",
    "audio_model",
    "faces_model",
    "fusion_model",
    "identity_model",
}
"""Fields that cannot change a result: time limits, where it is computed, and names of weights whose digest is a field, too."""

CHAIN = (*build_chain(ChainOptions()), IdentifyStage("digest"))
TASKS = ("image.ImageTask", "denoise.DenoiseTask", "clip.ClipTask", "soft_faces.SoftLabelTask")

OPTIONS: dict[str, tuple[object, tuple[str, ...]]] = {
    "fps": (3.0, ("faces",)),
    "every": (7, ("faces",)),
    "picture_fps": (2.0, ("probe", "faces")),
    "decoder": ("decord", ("faces",)),
    "preset": ("paper", ("denoise", "classify")),
    "denoise": ("on", ("denoise",)),
    "denoise_scope": ("frame", ("faces", "denoise")),
    "denoise_threshold": (3.0, ("denoise",)),
    "image_model": ("compact64", ("finetune", "classify")),
    "audio_model": ("none", ("classify",)),
    "faces_model": ("gan_faces", ("classify",)),
    "fusion_model": ("late", ()),  # the shipped bundle has no other
    "voice": ("off", ("classify",)),
    "answer": ("vote", ("classify",)),
    "prior": ("training", ("classify",)),
    "pool": ("mean", ("classify",)),
    "abstain": (0.4, ("classify",)),
    "keep_faces": (False, ("faces", "denoise", "report")),
    "device": ("cuda", ()),
    "backend": ("torch", ()),
    "timeout": (3.0, ()),
}
"""Another value of each option of the chain, and the stages that it is a parameter of."""
BY_CONTENT = {"models", "weights", "denoise_model"}  # places of weights, which count by what they hold


def leaves(value: Any, place: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Name every field of a dataclass, those inside it too, with its type."""
    found = []
    for field in fields(value):
        hint, inner = get_type_hints(type(value))[field.name], getattr(value, field.name)
        found.append(((*place, field.name), hint))
        if is_dataclass(inner) and not field.metadata.get("neutral"):
            found += leaves(inner, (*place, field.name))
    return found


def changed(value: Any, place: tuple[str, ...], new: Any) -> Any:
    name, *rest = place
    return replace(value, **{name: changed(getattr(value, name), tuple(rest), new) if rest else new})


def current(value: Any, place: tuple[str, ...]) -> Any:
    for name in place:
        value = getattr(value, name)
    return value


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Draw values of a type."""
    if get_origin(hint) is Literal:
        return st.sampled_from(get_args(hint))
    if get_origin(hint) in (Union, types.UnionType):
        return st.one_of(*map(values, get_args(hint)))
    if get_origin(hint) is tuple:
        inner = get_args(hint)
        if inner[1:] == (...,):
            return st.lists(values(inner[0]), max_size=3).map(tuple)
        return st.tuples(*map(values, inner))
    if is_dataclass(hint):
        return st.builds(hint, **{name: values(each) for name, each in get_type_hints(hint).items()})
    simple = {float: st.floats(allow_nan=False, allow_infinity=False), int: st.integers(), str: st.text(max_size=9)}
    return {**simple, bool: st.booleans(), type(None): st.none()}[hint]


def below(names: set[str]) -> set[str]:
    """Add the stages that read what these make."""
    found = set(names)
    for stage in CHAIN:
        if found & set(stage.inputs):
            found.add(stage.name)
    return found


FIELDS = [(at, place, hint) for at, stage in enumerate(CHAIN) for place, hint in leaves(stage)]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A clip, and a store that has an artifact of every stage for it."""
    folder = tmp_path_factory.mktemp("keys")
    clip, store = folder / "clip.mp4", Store(folder / "store")
    clip.write_bytes(b"any bytes")
    for target in ("report", "identify"):
        for step in plan(CHAIN, target, clip, store):
            if step.artifact is None:
                with store.draft(step.stage.name, step.key) as draft:
                    store.publish(draft.seal(step.recipe))
    return clip, store


def missed(chain, stored):
    """Name the stages that the store lacks."""
    clip, store = stored
    steps = [*plan(chain, "report", clip, store), *plan(chain, "identify", clip, store)]
    return {step.stage.name for step in steps if step.artifact is None}


def test_neutral_fields_are_those_that_cannot_change_a_result():
    found = {field.name for stage in CHAIN for field in fields(stage) if field.metadata.get("neutral")}
    assert found == NEUTRAL


@pytest.mark.parametrize("examples", [1, pytest.param(12, marks=pytest.mark.slow)])
def test_whatever_parameter_changes_exactly_what_depends_on_it_is_computed_again(stored, figure, examples):
    assert missed(CHAIN, stored) == set()
    tried = 0

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(data=st.data())
    def change(at, place, hint, data):
        nonlocal tried
        stage = CHAIN[at]
        old = current(stage, place)
        new = data.draw(values(hint).filter(lambda value: value != old))
        other = (*CHAIN[:at], changed(stage, place, new), *CHAIN[at + 1 :])
        wanted = set() if place[0] in NEUTRAL else below({stage.name})
        assert missed(other, stored) == wanted, f"{stage.name}.{'.'.join(place)}: {old!r} to {new!r}"
        tried += 1

    for at, place, hint in FIELDS:
        change(at, place, hint)
    assert missed(CHAIN, stored) == set()
    figure(f"{len(FIELDS)} parameters of {len(CHAIN)} stages of a clip, {tried} changes: exactly what depends on each")


def test_a_version_is_a_parameter(stored, monkeypatch):
    for stage in CHAIN:
        with monkeypatch.context() as patch:
            patch.setattr(type(stage), "version", stage.version + 1)
            other = build_chain(ChainOptions())  # recipes are kept by the objects
            other = (*other, IdentifyStage("digest"))
            assert missed(other, stored) == below({stage.name})


def test_every_option_of_the_chain_counts_where_it_should(stored):
    assert {field.name for field in fields(ChainOptions)} == OPTIONS.keys() | BY_CONTENT
    for name, (value, stages) in OPTIONS.items():
        given = {name: value, **({"denoise_model": "small"} if name == "denoise" else {})}
        other = (*build_chain(ChainOptions(**given)), IdentifyStage("digest"))
        assert missed(other, stored) == below(set(stages)), name


def test_denoising_is_a_parameter_by_weights_and_threshold(stored):
    at = next(at for at, stage in enumerate(CHAIN) if stage.name == "denoise")
    for denoise in (None, Denoising("other", 10.0), Denoising(CHAIN[at].denoise.weights, None)):
        other = (*CHAIN[:at], replace(CHAIN[at], denoise=denoise), *CHAIN[at + 1 :])
        assert missed(other, stored) == below({"denoise"})


OBSERVED = {"num_workers", "store"}
"""Arguments of data modules that cannot change the weights, beside places of data, whose content counts."""
OF_TASK = {"compiled"}
OF_TRAINER = {
    "accelerator", "logger", "default_root_dir", "log_every_n_steps", "enable_progress_bar", "enable_model_summary"
}  # fmt: skip


def arguments(dotted: str) -> list[str]:
    module, _, name = dotted.rpartition(".")
    known = inspect.signature(getattr(import_module(module), name)).parameters.values()
    return [each.name for each in known if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)]


@pytest.mark.slow
def test_whatever_setting_of_a_training_changes_makes_another_training(figure):
    from lightning import Trainer

    tried = 0
    plain: dict[str, Any] = {
        "model": {"class_path": "x", "init_args": {}},
        "data": {"class_path": "x", "init_args": {}},
        "trainer": {},
    }

    def differs(part: str, name: str) -> bool:
        nonlocal tried
        tried += 1
        changed = typing.cast("dict[str, Any]", {**plain, part: {**plain[part]}})
        if part == "trainer":
            changed[part][name] = "other"
        else:
            changed[part]["init_args"] = {name: "other"}
        return decisive_settings(changed) != decisive_settings(plain)

    for task in TASKS:
        for name in arguments(f"vidfer.tasks.{task}"):
            assert differs("model", name) == (name not in OF_TASK), f"{task}: {name}"
    for module in CONTENTS:
        for name in arguments(module):
            by_content = name == "data" or name.endswith("root")
            assert differs("data", name) == (name not in OBSERVED and not by_content), f"{module}: {name}"
    for name in inspect.signature(Trainer).parameters:
        wanted = name not in OF_TRAINER and name != "callbacks"
        assert name == "callbacks" or differs("trainer", name) == wanted, name
    figure(f"{tried} settings of trainings: another training, or one of the named that cannot change it")
