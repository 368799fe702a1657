"""Backbones that see, experts that judge, and the files that hold them. Importing this loads no torch."""
