"""The store for several hub processes, on any number of machines: PostgreSQL, through psycopg.

Nothing here is imported before a hub is told to use PostgreSQL (`hub.store.opening`), so that
psycopg is needed by those hubs only.
"""
