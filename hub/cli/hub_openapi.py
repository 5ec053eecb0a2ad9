"""`stillwatch hub openapi`: print the document that describes the hub's HTTP interface."""

from __future__ import annotations

import json

import click


@click.command()
@click.option("--root", default="stillwatch", show_default=True, help="Name of the API root.")
@click.option("--public-url", help="How clients reach the hub; default: relative URLs.")
def openapi(root: str, public_url: str | None) -> None:
    """Print the OpenAPI 3.1 document of a hub, made from its routes.

    A serving hub gives its own at ROOT/openapi.json, to accounts.
    """
    from hub.server.app import ROUTES
    from hub.server.openapi import document
    from hub.settings import HubSettings

    settings = HubSettings(root=root, public_url=public_url)
    click.echo(json.dumps(document(ROUTES, settings), indent=2))
