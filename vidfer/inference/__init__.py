"""Trained models as functions of arrays, and the rule that turns their predictions into one per clip."""
