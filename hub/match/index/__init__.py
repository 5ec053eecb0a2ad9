"""Indexes over indicator values: build and probe."""
