"""Samples -> batches for Lightning: crops, frozen features, exact distributed sampling."""
