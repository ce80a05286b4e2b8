"""Azure Communication Services Email on loopback: takes mails, and knows an operation by its id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Fault = Callable[[Request], Response | None]
"""Asked before each call: a reply to give instead, or None."""


@dataclass
class Accepted:
    """A mail that was taken, as it was posted."""

    message: dict[str, Any]
    headers: dict[str, str]


@dataclass
class MailService:
    """What the service has taken, by operation id; a repeat of one is not a second mail."""

    before: Fault = lambda _: None
    after: Fault = lambda _: None
    accepted: dict[str, Accepted] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    posts: int = 0

    async def send(self, request: Request) -> Response:
        """Take one mail. Email_Send."""
        self.posts += 1
        if reply := self.before(request):
            return reply
        operation_id = request.headers["operation-id"]
        message = Accepted(await request.json(), dict(request.headers))
        self.accepted.setdefault(operation_id, message)
        if reply := self.after(request):
            return reply
        body = {"id": operation_id, "status": "Running"}
        where = f"{request.url.scheme}://{request.url.netloc}/emails/operations/{operation_id}"
        return JSONResponse(body, 202, {"Operation-Location": where, "Retry-After": "30"})

    async def operation(self, request: Request) -> Response:
        """What became of one. Email_GetSendResult."""
        if reply := self.before(request):
            return reply
        operation_id = request.path_params["operation_id"]
        if operation_id not in self.accepted:
            return JSONResponse({"error": {"code": "NotFound", "message": "No such id."}}, 404)
        status = self.statuses.get(operation_id, "Succeeded")
        body: dict[str, Any] = {"id": operation_id, "status": status}
        if status == "Failed":
            body["error"] = {"code": "EmailDropped", "message": "The message was dropped."}
        return JSONResponse(body)


def mail_app(service: MailService) -> Starlette:
    """The service as an application."""
    return Starlette(
        routes=[
            Route("/emails:send", service.send, methods=["POST"]),
            Route("/emails/operations/{operation_id}", service.operation),
        ]
    )
