"""A sample, its scores and what its domain tells of its shape -> one HTML file to turn it in, which loads nothing."""
