import torch

from vidfer.losses import content_loss


def test_content_loss_by_hand():
    denoised = torch.tensor([[[[1.0, 2.0]]]])
    clean = torch.tensor([[[[0.0, 4.0]]]])
    assert content_loss(denoised, clean).item() == (1 + 4) / 2
