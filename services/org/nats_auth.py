"""Answers the NATS server's authentication call-out: publishers connect with their name and token, no restart needed.

The server asks on $SYS.REQ.USER.AUTH with a signed request; the answer carries a user JWT with the publisher's
permissions, signed by the account key that the server's configuration names as issuer. Services are static users of
that configuration and never come here. Source: NATS "Auth Callout" (ADR-26), configuration mode.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import nkeys
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from contracts.subjects import PUBLISHER_PATTERN, RECEIPTS_STREAM, receipt_subject
from services.kernel import clock
from services.kernel.broker import BROKEN
from services.kernel.database import TRANSIENT, Database
from services.kernel.tasks import end
from services.org.credentials import publisher_token_stands

log = logging.getLogger("opsledger.org")

SUBJECT = "$SYS.REQ.USER.AUTH"
ALGORITHM = "ed25519-nkey"
SECONDS_WITH_KICK = 24 * 3600  # a revoked publisher is cut off at once
SECONDS_WITHOUT_KICK = 600  # and where it cannot be, its connection ends by itself
AT_ONCE = 16  # requests being answered at the same time


class BadRequest(Exception):
    """What came on the subject is no request of a server."""


def permissions(publisher: str, contexts: Sequence[str]) -> dict[str, Any]:
    """Return what a publisher may say and hear: its own intake, inbox and receipts, and nothing else.

    It may not create consumers: one that pushes could be told to push into any subject of the services' account.
    Its consumer of receipts is made for it (`ReceiptConsumers`); clients bind to it by name.
    """
    consumer = f"{RECEIPTS_STREAM}.{publisher}"
    allow = [f"{way}.{publisher}.{context}" for way in ("intake", "inbox") for context in contexts]
    allow += [
        f"$JS.API.CONSUMER.MSG.NEXT.{consumer}",
        f"$JS.ACK.{consumer}.>",
    ]
    return {"pub": {"allow": allow}, "sub": {"allow": [f"_INBOX.{publisher}.>"]}}


class AuthCallout:
    """The responder. `nc` is org's own connection; `seed` the issuer's account seed ("SA...")."""

    def __init__(self, db: Database, nc: Client, seed: str, account: str, *, can_kick: bool) -> None:
        self._db = db
        self._nc = nc
        self._keys = nkeys.from_seed(seed.encode())
        self._issuer = self._keys.public_key.decode()
        self._account = account
        self._seconds = SECONDS_WITH_KICK if can_kick else SECONDS_WITHOUT_KICK
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._subscription: Any = None
        self._receipts = ReceiptConsumers(nc)

    async def start(self) -> None:
        """Begin to answer; several processes of org share the requests."""
        self._tasks.add(asyncio.create_task(self._receipts.run()))
        self._subscription = await self._nc.subscribe(SUBJECT, queue="org", cb=self._on_message)

    async def stop(self) -> None:
        if self._subscription is not None and self._nc.is_connected:
            await self._subscription.unsubscribe()
        await end(*self._tasks)

    async def _on_message(self, message: Msg) -> None:
        task = asyncio.create_task(self._answer(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, message: Msg) -> None:
        async with self._slots:
            try:
                request = read_request(message.data.decode())
                answer = await self._decide(request)
            except (BadRequest, ValueError, KeyError) as error:
                log.warning("auth_request_unreadable", extra={"error": repr(error)})
                return  # the server refuses the connection when it hears nothing
            except TRANSIENT as error:
                log.warning("auth_not_answered", extra={"error": repr(error)})
                return
            await message.respond(self._response(request, *answer).encode())

    async def _decide(self, request: Mapping[str, Any]) -> tuple[str | None, str]:
        """Return (user JWT, "") or (None, why not)."""
        options = request["connect_opts"]
        publisher, token = str(options.get("user", "")), str(options.get("pass", ""))
        if not PUBLISHER_PATTERN.match(publisher):
            return None, "unknown publisher or wrong token"
        async with self._db.conn() as conn:
            stands = await publisher_token_stands(conn, publisher, token)
            contexts = await conn.fetchval("SELECT contexts FROM publisher WHERE publisher = $1", publisher)
        if not stands:
            log.info("publisher_refused", extra={"publisher": publisher})
            return None, "unknown publisher or wrong token"
        await self._receipts.ensure(publisher)
        return self._user(request["user_nkey"], publisher, contexts), ""

    def _user(self, user_nkey: str, publisher: str, contexts: Sequence[str]) -> str:
        nats = {
            **permissions(publisher, contexts),
            "subs": 1000,
            "data": -1,
            "payload": -1,
            "type": "user",
            "version": 2,
        }
        claims = {"sub": user_nkey, "aud": self._account, "name": publisher, "nats": nats}
        return self._sign(claims, clock.now() + timedelta(seconds=self._seconds))

    def _response(self, request: Mapping[str, Any], user: str | None, error: str) -> str:
        said = {"jwt": user} if user is not None else {"error": error}
        nats = {**said, "type": "authorization_response", "version": 2}
        return self._sign({"sub": request["user_nkey"], "aud": request["server_id"]["id"], "nats": nats}, None)

    def _sign(self, claims: dict[str, Any], expires: datetime | None) -> str:
        whole = {**claims, "iss": self._issuer, "iat": int(clock.now().timestamp())}
        if expires is not None:
            whole["exp"] = int(expires.timestamp())
        digest = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).digest()
        whole["jti"] = base64.b32encode(digest).decode().rstrip("=")
        head = _encode({"typ": "JWT", "alg": ALGORITHM})
        signed = f"{head}.{_encode(whole)}"
        return f"{signed}.{_base64(self._keys.sign(signed.encode()))}"


class ReceiptConsumers:
    """Makes the durable consumer by which a publisher reads its own receipts, and no others."""

    def __init__(self, nc: Client) -> None:
        self._nc = nc
        self._js = nc.jetstream(timeout=1)
        self._connection = 0  # the broker may come back without its disk
        self._made: set[str] = set()
        self._wanted: set[str] = set()

    async def ensure(self, publisher: str) -> None:
        """Make it now, or as soon as there is a stream of receipts: a connection does not wait for that."""
        self._doubt_after_reconnect()
        if publisher in self._made:
            return
        config = ConsumerConfig(
            name=publisher,
            durable_name=publisher,
            filter_subject=receipt_subject(publisher, ">"),
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
        )
        try:
            await self._js.add_consumer(RECEIPTS_STREAM, config)
        except BROKEN:
            self._wanted.add(publisher)
        else:
            self._made.add(publisher)
            self._wanted.discard(publisher)

    async def run(self) -> None:
        """Try again every second; and look again now and then, for the broker may have lost its disk."""
        rounds = 0
        while True:
            await asyncio.sleep(1)
            self._doubt_after_reconnect()
            rounds += 1
            if rounds % 30 == 0:
                self._wanted |= self._made
                self._made.clear()
            for publisher in sorted(self._wanted):
                await self.ensure(publisher)

    def _doubt_after_reconnect(self) -> None:
        if self._nc.stats["reconnects"] != self._connection:
            self._connection = self._nc.stats["reconnects"]
            self._wanted |= self._made
            self._made.clear()


def read_request(token: str) -> dict[str, Any]:
    """Return the claims `nats` of a server's request. BadRequest: not signed by the server that it names."""
    head, _, rest = token.partition(".")
    body, _, signature = rest.partition(".")
    claims = json.loads(_decode(body))
    issuer = str(claims["iss"])
    if json.loads(_decode(head)).get("alg") != ALGORITHM or not issuer.startswith("N"):
        raise BadRequest("not a server's request")
    public = base64.b32decode(issuer + "=" * (-len(issuer) % 8))[1:33]  # one prefix byte, two of checksum
    try:
        VerifyKey(public).verify(f"{head}.{body}".encode(), _decode(signature))
    except BadSignatureError as error:
        raise BadRequest("wrong signature") from error
    nats: dict[str, Any] = claims["nats"]
    if nats.get("type") != "authorization_request" or nats["server_id"]["id"] != issuer:
        raise BadRequest("not an authorisation request of its issuer")
    return nats


def _encode(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


class Kicker:
    """Cuts off the connections of a publisher whose token has ended, as a user of the system account."""

    def __init__(self, nc: Client, account: str) -> None:
        self._nc = nc
        self._account = account

    async def __call__(self, publisher: str) -> None:
        """Disconnect every connection of the publisher, on every server. Failures are logged: its JWT ends anyway."""
        query = json.dumps({"acc": self._account, "auth": True, "user": publisher, "limit": 1000}).encode()
        try:
            for server, connections in await self._ask("$SYS.REQ.SERVER.PING.CONNZ", query):
                for connection in connections:
                    order = json.dumps({"cid": connection["cid"]}).encode()
                    await self._nc.request(f"$SYS.REQ.SERVER.{server}.KICK", order, timeout=2)
                    log.info("publisher_cut_off", extra={"publisher": publisher, "cid": connection["cid"]})
        except Exception as error:
            log.warning("publisher_not_cut_off", extra={"publisher": publisher, "error": repr(error)})

    async def _ask(self, subject: str, query: bytes) -> list[tuple[str, list[dict[str, Any]]]]:
        """Return (server id, connections) of every server that answers within half a second of the one before."""
        inbox = self._nc.new_inbox()
        subscription = await self._nc.subscribe(inbox)
        found: list[tuple[str, list[dict[str, Any]]]] = []
        try:
            await self._nc.publish(subject, query, reply=inbox)
            wait = 2.0
            while True:
                try:
                    answer = json.loads((await subscription.next_msg(timeout=wait)).data)
                except TimeoutError:
                    return found
                wait = 0.5
                found.append((answer["server"]["id"], answer.get("data", {}).get("connections") or []))
        finally:
            await subscription.unsubscribe()
