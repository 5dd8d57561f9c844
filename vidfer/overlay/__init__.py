"""The video with what was found drawn into it."""
