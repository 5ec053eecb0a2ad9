"""The log of a channel: Merkle tree, signed notes, checkpoints and cosignatures."""
