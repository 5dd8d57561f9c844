"""A denoiser of each family that the paper compares."""
