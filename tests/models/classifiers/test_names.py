import pytest

from vidfer.models.classifiers import build_classifier, classifier_names
from vidfer.models.classifiers.mlp import LinearClassifier
from vidfer.types import VidferError


def test_every_classifier_of_the_paper_has_a_file():
    assert {"linear", "mlp", "gan", "cnn", "rcnn", "lstm", "rnn", "dbn", "fusion"} <= set(classifier_names())


def test_a_dotted_path_names_a_class_anywhere():
    network = build_classifier("vidfer.models.classifiers.mlp.LinearClassifier", {"num_sound_features": 3})
    assert isinstance(network, LinearClassifier)
    assert network.num_features == 3


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("forest", "unknown classifier 'forest': use one of .*linear.* or a class as package"),
        ("no_such_package.Forest", "no class 'no_such_package.Forest'"),
        ("subprocess.Popen", "is no subclass"),
        ("vidfer.models.backbone.CompactNet", "is no subclass"),
    ],
)
def test_what_is_no_classifier_is_refused(name, told):
    with pytest.raises(VidferError, match=told):
        build_classifier(name)


def test_unknown_arguments_are_named_with_those_there_are():
    with pytest.raises(VidferError, match="does not take depth: its arguments are modality"):
        build_classifier("linear", {"depth": 2})
