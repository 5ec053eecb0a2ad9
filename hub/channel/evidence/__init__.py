"""Proof files: contradictions that a third party verifies with the channel id alone."""
