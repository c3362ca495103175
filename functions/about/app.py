"""/health, /openapi.json and /docs: what anybody may know, without a token. It looks at no row and no token."""

from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field

from recado import about, web

app = web.resolver()

TAGS = ["about"]
KEPT_FOR = "public, max-age=300"
DOCUMENT: dict[int, OpenAPIResponse] = {
    200: {"description": "OpenAPI 3.1", "content": {"application/json": {"schema": {"type": "object"}}}}
}
PAGE: dict[int, OpenAPIResponse] = {
    200: {"description": "a page for people", "content": {"text/html": {"schema": {"type": "string"}}}}
}


class HealthView(BaseModel):
    status: str = Field(description="ok")
    version: str


@app.get("/health", summary="Whether the service answers, and its version", tags=TAGS)
def get_health() -> HealthView:
    return HealthView(status="ok", version=about.VERSION)


@app.get("/openapi.json", summary="This document", tags=TAGS, responses=DOCUMENT, enable_validation=False)
def get_openapi() -> Response[str]:
    return Response(
        status_code=HTTPStatus.OK,
        content_type="application/json",
        body=about.read_openapi(),
        headers={"Cache-Control": KEPT_FOR},
    )


@app.get("/docs", summary="This document as a page", tags=TAGS, responses=PAGE, enable_validation=False)
def get_docs() -> Response[str]:
    headers: dict[str, str | list[str]] = {
        "Cache-Control": KEPT_FOR,
        "Content-Security-Policy": about.docs_policy(),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(
        status_code=HTTPStatus.OK, content_type="text/html; charset=utf-8", body=about.read_docs(), headers=headers
    )


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return web.answer(app, event, context)
