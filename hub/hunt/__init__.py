"""The event store: old exchanges kept small, so that new indicators can be looked for in them."""
