"""The log of a channel: Merkle tree, checkpoints, cosignatures, proofs; no I/O, no secrets."""
