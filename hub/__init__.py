"""Stillwatch: confidential sharing of indicators for attacks that distil language models."""
