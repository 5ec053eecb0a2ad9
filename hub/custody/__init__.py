"""A custodian of oblivious fingerprints: evaluates blinded identifiers, and sees none."""
