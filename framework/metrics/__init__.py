"""Scores and truth -> rank metrics that stream, with the error of each number."""
