"""Classifiers of feature vectors."""
