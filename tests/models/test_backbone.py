import pytest
import timm
import torch
from safetensors.torch import save_file

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


@pytest.mark.parametrize(("name", "in_chans"), [("compact", 1), ("test_resnet", 1), ("test_efficientnet", 3)])
def test_further_heads_read_the_same_embedding_and_leave_the_logits_alone(name, in_chans):
    torch.manual_seed(0)
    net = build_backbone(name, in_chans=in_chans, heads=["fer2013", "ferplus"]).eval()
    image = torch.randn(2, in_chans, 64, 64)
    plain = build_backbone(name, in_chans=in_chans).eval()
    plain.load_state_dict({key: value for key, value in net.state_dict().items() if not key.startswith("heads.")})
    torch.testing.assert_close(plain(image), net(image))
    logits = {each: head(net.embed(image)) for each, head in net.heads.items()}
    assert list(logits) == ["fer2013", "ferplus"]
    assert all(each.shape == (2, 7) for each in logits.values())
    assert not torch.allclose(logits["fer2013"], logits["ferplus"])


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


def test_the_middle_map_comes_with_the_same_logits():
    net = build_backbone("test_resnet").eval()
    image = torch.randn(2, 1, 64, 64)
    logits, middle = net.logits_and_middle(image)
    torch.testing.assert_close(logits, net(image))
    assert middle.shape[:2] == (2, net.middle_channels)
    assert middle.shape[2] == 2 * net.network.forward_features(image).shape[2]


def test_pretrained_weights_come_from_a_local_file_but_for_the_last_layer(tmp_path):
    other = timm.create_model("test_resnet", num_classes=1000)
    save_file(other.state_dict(), tmp_path / "imagenet.safetensors")
    ours = build_backbone("test_resnet", in_chans=3, pretrained=str(tmp_path / "imagenet.safetensors"))
    found = ours.network.state_dict()
    for name, value in other.state_dict().items():
        if not name.startswith("fc."):
            torch.testing.assert_close(found[name], value)
    assert ours.head.out_features == 7
    gray = build_backbone("test_resnet", in_chans=1, pretrained=str(tmp_path / "imagenet.safetensors"))
    assert gray.network.state_dict()["conv1.0.weight" if "conv1.0.weight" in found else "conv1.weight"].shape[1] == 1


def test_pretrained_weights_that_are_not_at_hand(tmp_path, monkeypatch):
    with pytest.raises(VidferError, match=r"expected a \.safetensors file"):
        build_backbone("test_resnet", pretrained=str(tmp_path / "none.safetensors"))
    (tmp_path / "damaged.safetensors").write_bytes(b"12345678")
    with pytest.raises(VidferError, match=r"damaged\.safetensors holds no pretrained weights"):
        build_backbone("test_resnet", pretrained=str(tmp_path / "damaged.safetensors"))
    save_file({"other": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(VidferError, match=r"other\.safetensors holds no pretrained weights"):
        build_backbone("test_resnet", pretrained=str(tmp_path / "other.safetensors"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(VidferError, match="neither in timm's cache nor can be downloaded"):
        build_backbone("test_resnet", pretrained=True)
