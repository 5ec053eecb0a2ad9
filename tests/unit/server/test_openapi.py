"""The OpenAPI document: valid, complete, and true to the table of routes that it is made from."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi.definitions import OPENAPI_31
from starlette.responses import Response

from hub.server import openapi
from hub.server.app import ROUTES
from hub.server.policy import Action
from hub.server.routes import Context, Route
from hub.settings import HubSettings
from tests.unit.server.harness import House

SETTINGS = HubSettings(root="lab", public_url="https://hub.example")
DOCUMENT = openapi.document(ROUTES, SETTINGS)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def resolved(document: dict[str, Any], value: Any) -> Any:
    """The value, or what its reference names."""
    if isinstance(value, dict) and "$ref" in value:
        found: Any = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return found
    return value


def answers(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for _, _, operation in operations(document):
        for status, answer in operation["responses"].items():
            yield operation["operationId"], status, resolved(document, answer)


def silences(routes: tuple[Route, ...]) -> list[str]:
    """The routes that do not say what they do, read and answer."""
    return [
        route.operation
        for route in routes
        if not route.summary
        or not route.answers
        or (route.method in ("POST", "PUT") and route.body is None and not bodiless(route))
    ]


def bodiless(route: Route) -> bool:
    return route.operation == "challenge"


def test_it_is_an_openapi_3_1_document() -> None:
    Draft202012Validator(OPENAPI_31).validate(json.loads(json.dumps(DOCUMENT)))
    broken = {**DOCUMENT, "paths": {"no-slash": {}}}
    assert not Draft202012Validator(OPENAPI_31).is_valid(broken)


def test_its_schemas_are_schemas_and_its_examples_fit_them() -> None:
    components = {"components": DOCUMENT["components"]}
    seen = 0
    for _, _, operation in operations(DOCUMENT):
        told = [resolved(DOCUMENT, answer) for answer in operation["responses"].values()]
        told += [operation["requestBody"]] if "requestBody" in operation else []
        for media in (media for one in told for media in one.get("content", {}).values()):
            Draft202012Validator.check_schema(media["schema"])
            for example in media.get("examples", {}).values():
                Draft202012Validator({**components, **media["schema"]}).validate(example["value"])
                seen += 1
        for parameter in operation["parameters"]:
            Draft202012Validator.check_schema(parameter["schema"])
            if "example" in parameter:
                Draft202012Validator(parameter["schema"]).validate(parameter["example"])
                seen += 1
    assert seen > 20
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_route_is_in_it_once() -> None:
    expected = {(route.path.replace("{root}", "lab"), route.method.lower()) for route in ROUTES}
    assert {(path, method) for path, method, _ in operations(DOCUMENT)} == expected
    names = Counter(operation["operationId"] for _, _, operation in operations(DOCUMENT))
    assert set(names.values()) == {1}


def test_every_route_says_what_it_does() -> None:
    assert silences(ROUTES) == []
    mute = replace(ROUTES[0], summary="")
    assert silences((mute,)) == [mute.operation]


def test_path_parameters_are_those_of_the_path() -> None:
    for path, _, operation in operations(DOCUMENT):
        told = [one["name"] for one in operation["parameters"] if one["in"] == "path"]
        assert sorted(told) == sorted(re.findall(r"\{(\w+)\}", path)), path


def test_links_lead_to_operations_that_take_what_they_give() -> None:
    takes = {
        operation["operationId"]: {one["name"] for one in operation["parameters"]}
        for _, _, operation in operations(DOCUMENT)
    }
    links = [
        (operation, name, link)
        for operation, _, answer in answers(DOCUMENT)
        for name, link in answer.get("links", {}).items()
    ]
    assert len(links) > 15
    for operation, name, link in links:
        assert set(link["parameters"]) <= takes[link["operationId"]], (operation, name)


def test_every_error_is_a_taxii_error_message() -> None:
    codes = set()
    for operation, status, answer in answers(DOCUMENT):
        if int(status) >= 400 and status not in ("414", "431"):
            (media,) = answer["content"].values()
            assert media["schema"] == {"$ref": "#/components/schemas/Error"}, operation
            codes.add(status)
    assert codes >= {"400", "401", "403", "404", "406", "413", "415", "422", "429", "500", "503"}


def test_optional_fields_are_absent_and_not_null() -> None:
    assert '"null"' not in json.dumps(DOCUMENT["components"]["schemas"])
    assert DOCUMENT["components"]["schemas"]["Error"]["required"] == ["title"]


def test_a_route_without_answers_still_makes_a_document() -> None:
    async def quiet(context: Context) -> Response:
        raise NotImplementedError(context)

    made = openapi.document((Route("GET", "/{root}/quiet/", Action.ABOUT, quiet),), SETTINGS)
    Draft202012Validator(OPENAPI_31).validate(json.loads(json.dumps(made)))


@pytest.mark.parametrize("path", ["/lab/openapi.json", "/lab/openapi.json/"])
def test_it_is_served_to_accounts_only(tmp_path: Path, path: str) -> None:
    with House(tmp_path, SETTINGS) as house:
        answer = house.ask("GET", path)
        assert answer.headers["content-type"] == "application/json"
        assert answer.json == json.loads(json.dumps(DOCUMENT))
        assert house.ask("GET", path, who=None).status == 401
