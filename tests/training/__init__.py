"""Tests of vidfer.training."""
