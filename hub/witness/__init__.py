"""A witness: cosigns checkpoints of hubs' logs that it has seen grow without contradiction."""
