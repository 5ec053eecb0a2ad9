"""A witness: cosigns checkpoints of hubs' logs that it has seen grow without contradiction.

It keeps one size and root for each log. It cosigns a checkpoint only when the log proves that the
new tree continues the one it cosigned last, so that whoever sees its cosignature knows that nobody
was shown another history. It holds no messages and learns no digest of any.

Source: C2SP tlog-witness and tlog-cosignature.
"""
