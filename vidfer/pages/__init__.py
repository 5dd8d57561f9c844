"""HTML pages that show results: `report.html` of a clip and `index.html` of a run."""
