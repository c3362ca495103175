"""API Gateway in a few lines: a request goes to the authorizer, then to its route's function, as the template says.

What is refused on the way is answered as the template's gateway responses do: 401 and 403.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.apps import Context, load_app
from tools.build_openapi import ApiRoute, api_routes

ARN = "arn:aws:execute-api:us-east-1:123456789012:a1b2c3d4e5/v1"


@dataclass(frozen=True)
class Request:
    """`route` as the template has it, e.g. `POST /messages/{message_id}/send`; `body` is JSON, or text as it is."""

    route: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any
    headers: Mapping[str, list[str]]

    @property
    def code(self) -> str | None:
        return self.body.get("code") if isinstance(self.body, dict) else None

    @property
    def wrong_fields(self) -> list[str]:
        return [one["field"] for one in self.body.get("errors", [])] if isinstance(self.body, dict) else []


@cache
def routes() -> dict[str, ApiRoute]:
    """Every route of the template, by `METHOD /path`."""
    return {f"{one.method.upper()} {one.path}": one for one in api_routes()}


def ask(request: Request, token: str | None = None) -> Answer:
    route = routes()[request.route]
    event = _event(request, route, token)
    if not route.is_public:
        try:
            policy = load_app("authorizer").handler(event | {"type": "REQUEST", "methodArn": ARN}, Context())
        except Exception as error:
            if str(error) != "Unauthorized":
                raise
            return Answer(401, {"code": "not_authenticated"}, {})
        if policy["policyDocument"]["Statement"][0]["Effect"] != "Allow":
            return Answer(403, {"code": "not_allowed"}, {})
        event["requestContext"]["authorizer"] = policy["context"] | {"principalId": policy["principalId"]}
    answered = load_app(route.folder).handler(event, Context())
    headers, body = answered["multiValueHeaders"], answered["body"]
    media_type = (headers.get("Content-Type") or [""])[0]
    return Answer(answered["statusCode"], json.loads(body) if body and "json" in media_type else body, headers)


def _event(request: Request, route: ApiRoute, token: str | None) -> dict[str, Any]:
    headers = {"Accept": "application/json", "Host": "api.example"} | dict(request.headers)
    if request.body is not None:
        headers = {"Content-Type": "application/json"} | headers
    headers |= {"Authorization": f"Bearer {token}"} if token is not None else {}
    path = route.path
    for name, value in request.parameters.items():
        path = path.replace(f"{{{name}}}", value)
    body = request.body if request.body is None or isinstance(request.body, str) else json.dumps(request.body)
    return {
        "resource": route.path,
        "path": path,
        "httpMethod": route.method.upper(),
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": dict(request.query) or None,
        "multiValueQueryStringParameters": {name: [value] for name, value in request.query.items()} or None,
        "pathParameters": dict(request.parameters) or None,
        "stageVariables": None,
        "requestContext": {
            "requestId": str(uuid.uuid4()),
            "stage": "v1",
            "path": f"/v1{path}",
            "resourcePath": route.path,
            "httpMethod": route.method.upper(),
            "identity": {"sourceIp": "203.0.113.24"},
        },
        "body": body,
        "isBase64Encoded": False,
    }
