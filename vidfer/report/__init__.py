"""The paper's tables and figures, rerun on named data."""
