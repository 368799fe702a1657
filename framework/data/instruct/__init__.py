"""Anomaly-Instruct conversations: published files -> checked conversations, a labelled set -> such a file."""
