"""The bundle that ships with vidfer is what its configuration puts together."""

import json
from pathlib import Path

from vidfer.pipeline.store import Store
from vidfer.training.config import KINDS, read_configuration
from vidfer.training.steps import plan_steps, weights_of
from vidfer.weights.bundles import MANIFEST, SHIPPED_BUNDLE

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
