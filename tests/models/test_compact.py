import pytest
import torch

from vidfer.models.backbone import CompactNet


def test_parameters_by_hand():
    def block(a, b):
        shortcut = a * b + 2 * b if a != b else 0
        return 9 * a * b + 9 * b * b + 4 * b + shortcut

    stem = 25 * 32 + 64
    stages = 2 * block(32, 32) + block(32, 64) + block(64, 64) + block(64, 128) + 2 * block(128, 128)
    head = 128 * 7 + 7
    assert sum(p.numel() for p in CompactNet(7).parameters()) == stem + stages + head
    assert 4 * (stem + stages + head) < 8e6  # bytes: the bar for what ships


@pytest.mark.parametrize("size", [16, 32, 48, 61])
def test_any_size_gives_the_same_embedding_length(size):
    net = CompactNet(7).eval()
    image = torch.randn(2, 1, size, size)
    assert net.embed(image).shape == (2, 128)
    torch.testing.assert_close(net(image), net.head(net.embed(image)))


def test_dropout_works_in_training_only():
    net = CompactNet(7, dropout=0.9)
    image = torch.randn(4, 1, 32, 32)
    assert not torch.equal(net(image), net(image))
    net.eval()
    assert torch.equal(net(image), net(image))
