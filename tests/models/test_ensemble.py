import torch

from vidfer.models.backbone import build_backbone


def test_the_logits_are_the_members_mean():
    net = build_backbone("compact", members=3).eval()
    image = torch.randn(4, 1, 48, 48)
    expected = sum(member(image) for member in net.members) / 3
    torch.testing.assert_close(net(image), expected)
    assert net.embed(image).shape == (4, 3 * 128)
    torch.testing.assert_close(net.head(net.embed(image)), expected)


def test_each_tensor_is_saved_once():
    single, joined = (build_backbone("compact", members=members) for members in (None, 2))
    assert len(joined.state_dict()) == 2 * len(single.state_dict())
