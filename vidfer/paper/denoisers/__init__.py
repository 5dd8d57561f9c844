"""The denoisers of the paper's table 3, one for each family."""
