"""Stages, their keys, the store of artifacts, and the runner that brings both together."""
