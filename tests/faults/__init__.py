"""Faults brought about on purpose: a file for each row of `rows.FAULTS`, numbered as there."""
