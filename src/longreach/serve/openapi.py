"""The OpenAPI document, made from the table of routes and the bodies' models.

Covers: `/openapi.json`. Does not cover: what is checked (`serve.bodies`).
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from pydantic.json_schema import models_json_schema

from longreach.serve.routes import ROUTES, Operation
from longreach.version import VERSION

__all__ = ["document"]

_PARAMETER = re.compile(r"\{(\w+)\}")
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "code": {"type": "string"},
                "param": {"type": ["string", "null"]},
            },
        }
    },
}


@cache
def document() -> dict[str, Any]:
    """The whole document, OpenAPI 3.1."""
    bodies = [(each.body, "validation") for each in ROUTES if each.body]
    _, schemas = models_json_schema(bodies, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    paths: dict[str, Any] = {}
    for each in ROUTES:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Longreach",
            "version": VERSION,
            "description": "Ask about inputs far longer than a context window.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"] | {"Error": _ERROR},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}, {}],
    }


def _operation(route: Operation) -> dict[str, Any]:
    text = " ".join((route.handler.__doc__ or "").split())
    answer = {"schema": route.answer} if route.answer else {}
    value: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": text.partition(". ")[0].rstrip("."),
        "description": text,
        "parameters": _parameters(route),
        "responses": {
            str(route.status): {"description": "done", "content": dict.fromkeys(route.types, answer)},
            "default": {
                "description": "an error",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    }
    if route.body:
        schema = {"$ref": f"#/components/schemas/{route.body.__name__}"}
        value["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    elif route.raw:
        value["requestBody"] = {"required": True, "content": {"application/octet-stream": {}}}
    return value


def _parameters(route: Operation) -> list[dict[str, Any]]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(route.path)
    ]
    return in_path + [{"name": name, "in": "query", "schema": schema} for name, schema in route.query]
