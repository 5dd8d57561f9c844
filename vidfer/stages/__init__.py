"""The stages of the chain: what enters each one's key, and its work on one clip."""
