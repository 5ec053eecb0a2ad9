"""Matching: Arrow in, Arrow out."""
