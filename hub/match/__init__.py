"""Matching: Arrow in, Arrow out."""

from hub.match.reference import evaluate

__all__ = ["evaluate"]
