"""The weights that ship with the package, each with a card, and how weights are written and read."""
