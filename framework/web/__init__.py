"""A file dropped into a browser -> views, map, score, and a talk about it: ``anomaly-ov serve``."""
