"""Pieces of which odd clips are made: films, sounds and pictures by PyAV and Pillow, and boxes by hand."""
