"""Ask a TAXII 2.1 server as the clients that people have really ask, and say what would go wrong.

Profiles (`clients/`) are data: what a client sends, how it goes on from page to page, what it keeps
between polls, each habit with the place where it can be checked. The engine replays them over a
port (`wire.Ask`) and compares what a client would hold with what a careful reader found. Nothing
here writes to a server unless `write.py` is called; only `http.py` opens sockets.
"""
