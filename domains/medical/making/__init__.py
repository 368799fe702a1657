"""Healthy volumes and pictures in; the same with lesions and artefacts, and masks of these, out."""
