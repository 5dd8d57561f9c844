"""Face images without their noise, as the chain denoises the faces of clips."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from vidfer.datasets.fer2013 import LabelledImages
from vidfer.media.quality import noise_sigma
from vidfer.pipeline.digest import recipe_key
from vidfer.pipeline.runner import cached
from vidfer.pipeline.stage import Outcome, tool_versions
from vidfer.pipeline.store import Draft, Place, Store, default_store
from vidfer.stages.denoise import DenoiseMode
from vidfer.stages.faces import Denoising
from vidfer.types import VidferError
from vidfer.weights.files import weights_digest


@dataclass(frozen=True)
class Denoise:
    """Which face images are denoised, and by what.

    Args:
        model: Denoiser's weights by name or file; None denoises nothing.
        mode: `auto` denoises what is noisier than the threshold, `on` everything, `off` nothing.
        threshold: Noise above which `auto` denoises, as sigma on the scale 0-255.

    Raises:
        VidferError: A value is out of range.
    """

    model: str | None = None
    mode: DenoiseMode = "auto"
    threshold: float = 10.0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.mode not in get_args(DenoiseMode):
            raise VidferError(f"denoise has to be one of {', '.join(get_args(DenoiseMode))}, not {self.mode}")
        if not 0 < self.threshold < float("inf"):
            raise VidferError(f"denoise_threshold has to be above 0, not {self.threshold}")

    def settings(self) -> Denoising | None:
        """Return the weights' digest and the threshold; None where nothing is denoised."""
        if self.model is None or self.mode == "off":
            return None
        return Denoising(weights_digest("denoise", self.model), float(self.threshold) if self.mode == "auto" else None)

    def card(self) -> dict[str, Any]:
        """Return what a card says about it: `denoise`, and `denoise_weights`, a digest, unless nothing is denoised."""
        settings = self.settings()
        if settings is None:
            return {"denoise": "off"}
        threshold = {} if settings.threshold is None else {"denoise_threshold": settings.threshold}
        return {"denoise": self.mode, **threshold, "denoise_weights": settings.weights}

    def clean(self, sets: Sequence[LabelledImages], store: Place | None = None) -> list[LabelledImages]:
        """Return sets of gray images with those that are to be denoised so, computed once and kept in the store.

        Names, labels and digests stay those of the images as they came.
        """
        settings = self.settings()
        if settings is None:
            return list(sets)
        images = {digest: image for each in sets for digest, image in zip(each.digest, each.image, strict=True)}
        order = sorted(images)
        recipe = {
            "stage": "denoised_images",
            "version": 1,
            "params": {"denoise": [settings.weights, settings.threshold]},
            "source": recipe_key({"images": order}),
            "tools": tool_versions("torch", "opencv-python-headless"),
        }

        def make(draft: Draft) -> Outcome:
            stacked = np.stack([images[digest] for digest in order])
            sigma = np.array([noise_sigma(image) for image in stacked])
            rows = np.flatnonzero(settings.wants(sigma))
            clean = self._clean(stacked[rows], settings.weights)
            draft.write_arrays("denoised.safetensors", {"rows": rows, "image": clean})
            return Outcome(meta={"images": len(order), "denoised": len(rows)})

        found = cached(Store(store or default_store()), recipe, make).arrays("denoised.safetensors")
        clean = images | {order[row]: image for row, image in zip(found["rows"], found["image"], strict=True)}
        return [
            replace(each, image=np.array([clean[digest] for digest in each.digest], np.uint8).reshape(each.image.shape))
            for each in sets
        ]

    def _clean(self, gray: npt.NDArray[np.uint8], weights: str) -> npt.NDArray[np.uint8]:
        """Denoise gray images (N, S, S) as images of three equal channels, whose denoised ones are weighed as for luminance."""
        import cv2

        from vidfer.inference.denoiser import Denoiser
        from vidfer.inference.network import load_model

        network = load_model(Denoiser, str(self.model), weights)
        colour = network(np.repeat(gray[..., None], 3, axis=-1))
        return np.array([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in colour], np.uint8).reshape(gray.shape)
