"""Talks to the services as the owner of this instance: the local secret becomes a bearer token, a problem a refusal.

Only public interfaces are used here; nothing reaches into a database or a stream.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

import httpx

from deploy.local.instance import Instance, load_credentials
from deploy.local.process import RunnerError

Grant = dict[str, object]


def instance_grant(instance: Instance, role: str, person: str | None = None, unit: str | None = None) -> Grant:
    """Return what `POST /v1/token` takes from somebody who can read this instance's secrets."""
    grant: Grant = {"grant": "instance", "secret": load_credentials(instance).instance_secret, "role": role}
    if person:
        grant["person"] = person
    if unit:
        grant["unit"] = unit
    return grant


class Access:
    """A session with the services of one instance, in one role, perhaps as somebody. Use as a context manager."""

    def __init__(
        self,
        instance: Instance,
        role: str = "director",
        *,
        person: str | None = None,
        unit: str | None = None,
        client: httpx.Client | None = None,
    ) -> None:
        self.instance = instance
        self._role = role
        self._person = person
        self._unit = unit
        self._client = client or httpx.Client(timeout=120)
        self._token = ""

    def __enter__(self) -> Access:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def bearer(self, person: str | None = None, unit: str | None = None) -> str:
        """Return a new bearer token. Raises RunnerError when org refuses or is not there."""
        grant = instance_grant(self.instance, self._role, person or self._person, unit or self._unit)
        answer = self._send("POST", "org", "/v1/token", json=grant, authorised=False)
        return str(answer.json()["access_token"])

    def accepts(self, grant: Grant) -> bool:
        """Tell whether org gives a token for a grant. Raises RunnerError when it is not there."""
        try:
            self._send("POST", "org", "/v1/token", json=grant, authorised=False)
        except RunnerError as error:
            if error.code == "grant_refused":
                return False
            raise
        return True

    def call(self, method: str, service: str, path: str, **request: Any) -> Any:
        """Return the JSON of an answer; `request` is httpx's: json, content, headers, params.

        Raises RunnerError with the problem's code, detail and remedy; the token is renewed once when it has run out.
        """
        answer = self._send(method, service, path, authorised=True, **request)
        return answer.json() if answer.content else None

    def _send(self, method: str, service: str, path: str, *, authorised: bool, **request: Any) -> httpx.Response:
        for attempt in (1, 2):
            headers = dict(request.get("headers") or {})
            if authorised:
                self._token = self._token or self.bearer()
                headers["authorization"] = f"Bearer {self._token}"
            try:
                answer = self._client.request(
                    method, self.instance.url(service) + path, **{**request, "headers": headers}
                )
            except httpx.TransportError as error:
                raise RunnerError(
                    "unreachable",
                    f"{service} at {self.instance.url(service)}: {error}",
                    "opsledger up; opsledger status",
                ) from error
            if answer.status_code < 400:
                return answer
            if answer.status_code != 401 or not authorised or attempt == 2:
                break
            self._token = ""
        raise refusal(answer)


def refusal(answer: httpx.Response) -> RunnerError:
    """Return a problem document as what the terminal shows."""
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    detail = problem.get("detail") or problem.get("title") or answer.text[:500]
    field = f" (field {problem['field']})" if problem.get("field") else ""
    return RunnerError(
        str(problem.get("code", f"http_{answer.status_code}")),
        f"{detail}{field}",
        str(problem.get("remedy") or "opsledger logs"),
    )
