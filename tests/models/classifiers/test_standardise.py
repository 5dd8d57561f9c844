import torch

from vidfer.models.classifiers.base import Standardise


def test_constant_features_vanish_and_outliers_are_clipped():
    vectors = torch.randn(200, 3) * torch.tensor([1.0, 1e6, 0.0]) + torch.tensor([0.0, -3e6, 0.1])
    layer = Standardise(3)
    layer.fit(vectors)
    out = layer(vectors)
    assert out[:, 2].abs().max() < 1e-3
    torch.testing.assert_close(out[:, :2].std(0), torch.ones(2), atol=0.02, rtol=0)
    assert layer(torch.full((1, 3), 1e9)).max() == 5


def test_statistics_travel_with_the_weights():
    one, other = Standardise(4), Standardise(4)
    one.fit(torch.randn(50, 4) * 7 + 1)
    other.load_state_dict(one.state_dict())
    x = torch.randn(5, 4)
    assert torch.equal(one(x), other(x))
