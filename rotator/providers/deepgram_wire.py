"""One call to Deepgram: how it is made, and how each answer becomes a result or one of our errors.

INVALID_AUTH means a bad key, but a missing right is documented as 401 too (Deepgram's docs: errors) and was
seen as 403, so the code decides, not the status.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote

from rotator.errors import Ambiguous, Denied, NotFound, PortError, Rejected, Throttled, Unavailable
from rotator.http import Answer, Call, HttpClient
from rotator.model.secret import Secret
from rotator.providers import deepgram_answers as answers

_READ = (200,)
_DONE = range(200, 300)
"""200 is what Deepgram answers to a write (its OpenAPI description); any other success was one too."""

_Parsed = TypeVar("_Parsed")


class Wire:
    """Calls with one management key, about one project."""

    def __init__(self, http: HttpClient, *, project_id: str, management: Secret) -> None:
        """Speak through `http`. Raise ValueError when `project_id` can't be one."""
        if not answers.is_id(project_id):
            raise ValueError("a Deepgram project id is made of letters, digits and dashes")
        self._http = http
        self._project_id = project_id
        self._management = management
        self._project_path = f"/v1/projects/{quote(project_id, safe='')}"

    def call(self, method: str, path: str, operation: str, target: str) -> Call:
        """Return a call with the management key; `path` is what follows the project in the URL."""
        return Call(
            method=method,
            path=self._project_path + path,
            operation=operation,
            target=target,
            authorization=token(self._management),
        )

    def key_path(self, operation: str, key_id: str) -> str:
        """Return what follows the project in the URL of one key. Raise Rejected when `key_id` can't be an id.

        An empty one would make the URL of the whole collection, an odd one that of something else.
        """
        if not answers.is_id(key_id):
            raise Rejected(operation, self._project_id, "not an id of a key")
        return f"/keys/{quote(key_id, safe='')}"

    async def ask(self, call: Call, *, names_a_key: bool = False) -> Answer:
        """Send `call` once and return the answer when it is a success. Raise our error for what it is else.

        A call that `names_a_key` may be answered with NotFound: any other 404 is Rejected.
        """
        answer = await self._http.call(call)
        if answer.status in (_DONE if call.writes else _READ):
            return answer
        raise refusal(call, answer, names_a_key=names_a_key)


def token(secret: Secret) -> Secret:
    """Return the Authorization header of a call with `secret`."""
    return Secret(f"Token {secret.reveal()}")


def understood(call: Call, parse: Callable[[object], _Parsed], body: object) -> _Parsed:
    """Return what `parse` makes of the body of a success. Raise Rejected, after a write Ambiguous, when it can't."""
    try:
        return parse(body)
    except ValueError:
        pass
    # A success that can't be read is still a success: what was asked for has been done. Raised outside
    # of the handler, so that nothing of the body hangs on the error.
    kind = Ambiguous if call.writes else Rejected
    raise kind(call.operation, call.target, "an answer that can't be understood")


def refusal(call: Call, answer: Answer, *, names_a_key: bool) -> PortError:
    """Return the error that an answer other than a success is."""
    code = answers.error_code(answer.body)
    named = (call.operation, call.target, said(answer.status, code))
    match answer.status // 100, answer.status:
        case _, 429:
            return Throttled(*named, retry_after=answer.retry_after)
        case _, (401 | 403):
            return Denied(*named)
        case _, 404 if names_a_key and code != "PROJECT_NOT_FOUND":
            return NotFound(*named)
        case (5, _) | (_, 408 | 499):  # said by proxies too, which can't know how far a call got
            return Ambiguous(*named) if call.writes else Unavailable(*named)
        case 4, _:
            return Rejected(*named)
        case _:
            return Ambiguous(*named) if call.writes else Rejected(*named)


def said(status: int, code: str | None) -> str:
    """Return what an error shows of an answer."""
    return f"{status} {code}" if code else str(status)
