"""Rows in, text out: Markdown, CSV, LaTeX, and a page of HTML."""
