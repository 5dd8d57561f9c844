import pytest

from vidfer.tasks.fit import read_recipe
from vidfer.types import VidferError


def test_a_recipe_is_what_the_command_line_is_given(tmp_path):
    file = tmp_path / "own.yaml"
    model = (
        "model: {class_path: vidfer.tasks.clip.ClipTask, init_args: {classifier: gan, arguments: {hidden: 8}, lr: 0.5}}"
    )
    file.write_text(f"{model}\ntrainer: {{max_epochs: 3}}\n")
    recipe = read_recipe(file)
    assert (recipe.classifier, recipe.arguments, recipe.epochs, recipe.settings) == (
        "gan",
        {"hidden": 8},
        3,
        {"lr": 0.5},
    )
    assert recipe.task().hparams["lr"] == 0.5


@pytest.mark.parametrize(
    "text", ["model: {init_args: {classifier: gan, arguments: {}}}", "trainer: {max_epochs: 3}", "[]"]
)
def test_a_file_that_lacks_something_is_named(text, tmp_path):
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(VidferError, match=r"own.yaml is no recipe of a classifier: it has to give"):
        read_recipe(tmp_path / "own.yaml")
