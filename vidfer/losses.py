"""The losses of the paper, by equation number."""

from torch import Tensor


def content_loss(denoised: Tensor, clean: Tensor) -> Tensor:
    """Compute the per-pixel mean squared error, equation 5.

    Args:
        denoised: Output of the generator, `(B, C, H, W)`.
        clean: The image without noise, `(B, C, H, W)`.

    Returns:
        The mean over all pixels, a scalar.
    """
    return (denoised - clean).square().mean()
