"""The per-clip stages, each a declaration of what enters its key and its work on one clip."""
