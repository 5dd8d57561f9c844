"""Results in the formats of other programs: ELAN, WebVTT, py-feat."""
