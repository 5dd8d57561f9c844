"""One short file a stage: its command-line entry."""
