"""Confidential channels: bytes in, bytes out; time is an argument."""
