"""LightningModules: one network wired to its loss, metrics and optimiser."""
