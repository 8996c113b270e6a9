"""Errors as clients of the HTTP API see them.

Covers: `ApiError`, its JSON in OpenAI's form, and which status each of Longreach's errors gets. Does not cover: raising them.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from longreach.errors import (
    AuthenticationFailed,
    BudgetSpent,
    ContextError,
    ContextWindowExceeded,
    JournalError,
    LongreachError,
    MissingExtra,
    MissingKey,
    ModelError,
    SandboxError,
    UnknownModel,
    UnknownPrice,
    UsageError,
)
from longreach.locations import data_folder

__all__ = ["ApiError", "StateError", "as_api_error", "error_body", "error_response", "scrub"]

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "invalid_request_error",
    409: "invalid_request_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}
_STATUSES: tuple[tuple[type[LongreachError], int, str], ...] = (
    (UsageError, 400, "invalid_request"),
    (UnknownPrice, 400, "unknown_price"),
    (UnknownModel, 404, "model_not_found"),
    (ContextWindowExceeded, 400, "context_length_exceeded"),
    (ContextError, 400, "unusable_context"),
    (BudgetSpent, 400, "budget_too_small"),
    (MissingKey, 503, "model_unavailable"),
    (MissingExtra, 501, "not_installed"),
    (AuthenticationFailed, 502, "model_refused_server"),
    (ModelError, 502, "model_failed"),
    (SandboxError, 503, "sandbox_unavailable"),
    (JournalError, 507, "journal_failed"),
)


class ApiError(LongreachError):
    """A request that is answered with an error.

    status: of HTTP. code: a short name for programs. retry_after: seconds after which the same request may go through; None: it will not.
    """

    def __init__(
        self, status: int, code: str, message: str, *, retry_after: float | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.param = param


class StateError(LongreachError):
    """The server's database cannot be read or written."""


def as_api_error(error: LongreachError) -> ApiError:
    """What a client is told of an error that Longreach raised on purpose."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, StateError):
        return ApiError(503, "state_unavailable", str(error), retry_after=5)
    status, code = next(((status, code) for kind, status, code in _STATUSES if isinstance(error, kind)), (500, "error"))
    return ApiError(status, code, str(error), retry_after=getattr(error, "retry_after", None))


def error_body(error: ApiError, **more: Any) -> dict[str, Any]:
    """The error as OpenAI's API writes it."""
    kind = "insufficient_quota" if error.code == "insufficient_quota" else _TYPES.get(error.status, "server_error")
    body = {"message": scrub(str(error)), "type": kind, "param": error.param, "code": error.code}
    return {"error": body | more}


def error_response(error: ApiError, **more: Any) -> JSONResponse:
    """The error as a response. Clients of OpenAI repeat 409, 429 and 5xx by themselves; a run must not be paid for again that way."""
    headers = {"x-should-retry": "false"}
    if error.retry_after is not None:
        headers = {"retry-after": str(max(1, round(error.retry_after)))}
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse(error_body(error, **more), error.status, headers)


def scrub(text: str) -> str:
    """A message without the server's own folders."""
    if not text:
        return text
    return text.replace(f"{data_folder()}/", "").replace(str(data_folder()), "the server's folder")
