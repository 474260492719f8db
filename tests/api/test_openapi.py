"""The description of the interface: whole, without a database, the same as what is served."""

import json
from collections.abc import Iterator
from typing import Any

from api.app import openapi_document
from tests.support.http import Client


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


async def test_the_description_is_whole_and_served(client: Client) -> None:
    document = openapi_document()
    assert (await client.get("/api/v1/openapi.json")).json() == json.loads(json.dumps(document))
    for reference in references(document):
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
    names = []
    for path, operations in document["paths"].items():
        assert path.startswith("/api/v1/"), path
        for method, operation in operations.items():
            names.append(operation["operationId"])
            assert operation["responses"]["default"] == {"$ref": "#/components/responses/Problem"}
            good = [code for code in operation["responses"] if code[0] in "23"]
            assert good, (path, method)
            # A browser that is sent elsewhere gets no body.
            if not {"204", "302"} & set(good):
                assert operation["responses"][good[0]]["content"], (path, method)
            assert operation["description"], (path, method)
    assert len(names) == len(set(names))
    problem = document["components"]["schemas"]["Problem"]
    assert {"detail", "remedy", "code"} <= set(problem["required"])


async def test_no_page_of_the_server_loads_anything_from_elsewhere(client: Client) -> None:
    for path in ("/docs", "/redoc", "/openapi.json"):
        answer = await client.get(path)
        assert "swagger" not in answer.text.lower()
        assert "http://" not in answer.text.replace("http://www.w3.org", "")
        assert "https://" not in answer.text
