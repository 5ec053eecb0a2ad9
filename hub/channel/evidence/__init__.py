"""Proof files: what contradicts itself, as signed bytes that a third party checks offline.

`build` makes them, `proof` is their form, `verify` says what one proves. Source:
schemas/channel-v1.md, "Proof files".
"""
