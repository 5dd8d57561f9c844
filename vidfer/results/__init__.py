"""The tables that users open: their columns, what is derived from a clip's predictions, and the folders they lie in."""
