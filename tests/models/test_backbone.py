import pytest
import torch

from vidfer.models.backbone import build_backbone
from vidfer.types import VidferError


@pytest.mark.parametrize(("name", "in_chans"), [("compact", 1), ("test_resnet", 1), ("test_efficientnet", 3)])
def test_embedding_head_and_logits_belong_together(name, in_chans):
    net = build_backbone(name, in_chans=in_chans).eval()
    image = torch.randn(2, in_chans, 64, 64)
    embedding = net.embed(image)
    assert embedding.ndim == 2
    torch.testing.assert_close(net.head(embedding), net(image))
    assert net(image).shape == (2, 7)


def test_inception_resnet_v2_has_the_papers_deep_feature():
    net = build_backbone("inception_resnet_v2", in_chans=3)
    net.train()
    image = torch.randn(2, 3, 299, 299)
    with torch.no_grad():
        assert net.embed(image).shape == (2, 1536)


def test_unknown_names_suggest_near_ones():
    with pytest.raises(VidferError, match="inception_resnet_v2"):
        build_backbone("inception_resnet_v22")


def test_compact_has_nothing_pretrained():
    with pytest.raises(VidferError, match="pretrained"):
        build_backbone("compact", pretrained=True)
