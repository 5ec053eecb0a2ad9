"""One module per log format, from bytes to TRAFFIC batches."""
