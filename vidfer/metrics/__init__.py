"""Scores of predictions, calibration, and image quality."""
