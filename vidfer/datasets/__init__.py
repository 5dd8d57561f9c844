"""Readers of the data sets' own layouts: they validate, drop what is unusable, and list what they dropped."""
