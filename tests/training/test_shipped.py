"""The bundle that ships with vidfer is what its configuration puts together."""

import json
from pathlib import Path

import pytest

from vidfer.pipeline.store import Store
from vidfer.training.config import KINDS, read_configuration
from vidfer.training.steps import plan_steps, weights_of
from vidfer.weights.bundles import MANIFEST, SHIPPED_BUNDLE
from vidfer.weights.files import find_weights

CONFIGURATION = Path(__file__).parents[2] / "configs" / "pipeline_shipped.yaml"


def test_the_shipped_bundle_is_that_of_its_configuration(tmp_path: Path) -> None:
    """Name, description, settings and every weights file agree, and nothing has to be trained for it."""
    shipped = json.loads((SHIPPED_BUNDLE / MANIFEST).read_text("utf-8"))
    configuration = read_configuration(CONFIGURATION, ["test_clips=[]"])
    steps = [step for step in plan_steps(configuration, Store(tmp_path)) if step.section is not None]
    assert not any(step.due for step in steps)
    assert shipped["made"] == {"configuration": f"configs/{CONFIGURATION.name}"}
    assert (shipped["name"], shipped["description"]) == (configuration.name, configuration.description)
    assert shipped["settings"] == configuration.settings
    assert {kind: SHIPPED_BUNDLE / name for kind, name in shipped["models"].items()} == {
        KINDS[step.name]: weights_of(step) for step in steps
    }


@pytest.mark.parametrize(
    ("pipeline", "section", "kind", "name"),
    [
        ("faces", "finetune", "image", "compact"),
        ("voice", "classify", "audio", "voice"),
        ("fusion", "fusion", "fusion", "fusion"),
    ],
)
def test_shipped_weights_were_trained_with_the_settings_of_their_pipeline(pipeline, section, kind, name):
    """Each setting of the configuration that the card keeps has the card's value; folders are not kept."""
    configuration = read_configuration(CONFIGURATION.with_name(f"pipeline_{pipeline}.yaml"))
    (settings,) = [each.settings for each in configuration.sections if each.name == section]
    recipe = find_weights(kind, name).card["recipe"]
    for part, of_card in (("model", recipe["task"]), ("data", recipe["data"])):
        assert settings[part]["class_path"].endswith(f".{of_card['name']}")
        given = {
            key: value for key, value in settings[part]["init_args"].items() if not key.endswith(("root", "weights"))
        }
        assert given.items() <= of_card.items(), part
    assert recipe["epochs"] == settings["trainer"]["max_epochs"]
