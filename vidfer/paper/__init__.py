"""The paper's tables and figures, rerun on named data: only what its comparison needs."""
