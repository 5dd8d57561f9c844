import pytest
import torch

from vidfer.models.classifiers.build import build_classifier
from vidfer.types import VidferError


@pytest.mark.parametrize(("name", "arguments"), [("linear", {}), ("mlp", {"hidden": 16, "members": 3})])
def test_members_average_to_the_answer(name, arguments):
    network = build_classifier(name, num_features=20, **arguments).eval()
    vectors = torch.randn(5, 20)
    probabilities = network.member_log_probs(vectors).exp().mean(0)
    torch.testing.assert_close(network(vectors).softmax(1), probabilities)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(5))


def test_unknown_names_and_arguments():
    with pytest.raises(VidferError, match="linear, mlp"):
        build_classifier("forest", num_features=3)
    with pytest.raises(VidferError, match="does not take"):
        build_classifier("linear", num_features=3, depth=2)
