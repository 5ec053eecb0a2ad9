"""`stillwatch hub probe`: whether a hub answers, for whoever restarts it otherwise."""

from __future__ import annotations

import click

from hub.cli.hub_data import json_option, show
from hub.errors import InputError, TransportError


@click.command()
@click.option("--url", default="http://127.0.0.1:8427", show_default=True, help="Of the hub.")
@click.option("--live", is_flag=True, help="Ask only whether it runs, not whether it is ready.")
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 60),
    default=3.0,
    show_default=True,
    help="Seconds to wait for the answer.",
)
@json_option
def probe(url: str, live: bool, timeout: float, as_json: bool) -> None:
    """Ask a running hub whether it is ready to serve.

    For the health check of a container: the exit code is 0 if it is. A hub that drains is not ready
    any more, though it lives.
    """
    from urllib.error import HTTPError, URLError
    from urllib.request import ProxyHandler, build_opener

    if not url.startswith(("http://", "https://")):
        raise InputError("a URL starts with http:// (or https://)", where="--url")
    asked = f"{url.rstrip('/')}/{'livez' if live else 'readyz'}"
    # Never through a proxy that the environment names.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(asked, timeout=timeout) as answer:
            said = answer.read(200).decode("utf-8", "replace").strip()
    except HTTPError as error:
        with error:
            said = error.read(200).decode("utf-8", "replace").strip()
        raise TransportError(f"not ready: {said} ({error.code})", where=asked) from error
    except (URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise TransportError(
            f"no answer: {reason}",
            where=asked,
            hint="is the hub running, and is this its address? --url names another",
        ) from error
    show({"url": asked, "answer": said}, [said], as_json=as_json)
