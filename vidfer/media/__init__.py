"""Video and sound files in; frames, faces and sound windows out."""
