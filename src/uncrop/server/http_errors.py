"""Errors that only HTTP has: the request did not arrive as one, or there is nothing at its address.

::

    CallerError
    ├── MalformedRequest               400 MALFORMED_REQUEST
    ├── MethodNotAllowed               405 METHOD_NOT_ALLOWED
    ├── RequestTimeout                 408 REQUEST_TIMEOUT
    ├── RequestTooLarge                413 REQUEST_TOO_LARGE
    ├── ExpectationFailed              417 EXPECTATION_FAILED
    └── HeadersTooLarge                431 REQUEST_HEADERS_TOO_LARGE
    OperatorError
    ├── NotReady                       503 NOT_READY
    └── HttpVersionNotSupported        505 HTTP_VERSION_NOT_SUPPORTED
"""

from __future__ import annotations

from uncrop.errors import CallerError, OperatorError


class MalformedRequest(CallerError):
    """What arrived is not an HTTP request."""

    status = 400
    code = "MALFORMED_REQUEST"
    default_message = "The request is not valid HTTP"


class MethodNotAllowed(CallerError):
    """The route exists, the method does not."""

    status = 405
    code = "METHOD_NOT_ALLOWED"
    default_message = "This address does not take that method"


class RequestTimeout(CallerError):
    """The request body did not arrive in time."""

    status = 408
    code = "REQUEST_TIMEOUT"
    retryable = True
    default_message = "The request body did not arrive in time"


class RequestTooLarge(CallerError):
    """The body exceeds what any provider takes."""

    status = 413
    code = "REQUEST_TOO_LARGE"
    default_message = "The request body is too large"


class HeadersTooLarge(CallerError):
    """The request has too many header lines, or they are too long."""

    status = 431
    code = "REQUEST_HEADERS_TOO_LARGE"
    default_message = "The request headers are too large"


class NotReady(OperatorError):
    """The server cannot take requests yet, or no longer; ``details.checks`` says what is missing."""

    status = 503
    code = "NOT_READY"
    retryable = True
    default_message = "The server is not ready"


class ExpectationFailed(CallerError):
    """The request's Expect header asks for something else than 100-continue."""

    status = 417
    code = "EXPECTATION_FAILED"
    default_message = "Of expectations, the server knows 100-continue alone"


class HttpVersionNotSupported(OperatorError):
    """The request line names a version of HTTP that is not spoken here."""

    status = 505
    code = "HTTP_VERSION_NOT_SUPPORTED"
    default_message = "The server speaks HTTP/1.1"
