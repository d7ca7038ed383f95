"""What goes wrong between publishers and the ledger: each kind takes one delivery and adds what happens around it.

Every delivery has a place on a line (its number in the stream, moved a little); what is added lands before or after it,
near or far. The oracle then reads the line from left to right.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from random import Random

from tests.oracle.catalogue import VOIDED
from tests.oracle.intake import Delivery, Event
from tests.oracle.organisation import Organisation
from tests.oracle.streams import StreamMaker, copy_of

Placed = tuple[float, Delivery]


class Disturber:
    def __init__(
        self,
        random: Random,
        organisation: Organisation,
        days: list[date],
        received: datetime,
        *,
        without_conflicts: bool,
    ) -> None:
        self.random = random
        self.days = days
        self.received = received
        self.writer = StreamMaker(random, organisation, days, received)
        self.made = 0
        self.length = 1.0
        self.kinds: list[Callable[[float, Delivery], list[Placed]]] = [
            self.duplicate,
            self.rewritten_duplicate,
            self.void,
            self.double_void,
            self.void_of_a_void,
            self.correction,
            self.foreign_void,
            self.same_id_from_another_source,
            self.of_a_stranger,
            self.malformed,
            self.forbidden,
        ]
        self.voiding = [self.void, self.double_void, self.void_of_a_void, self.foreign_void, self.correction]
        if not without_conflicts:
            self.kinds += [self.conflict, self.conflict, self.rejected_then_mended]

    def disturb(self, stream: list[Delivery], times: int) -> list[Placed]:
        self.length = float(len(stream))
        placed = [(self._moved(number), delivery) for number, delivery in enumerate(stream)]
        voidable = [entry for entry in placed if entry[1].publisher != "mailer"]  # which may send two types, no voids
        added: list[Placed] = []
        for number in range(times):
            kind = self.kinds[number % len(self.kinds)]  # in turn, so that none is missing
            added += kind(*self.random.choice(voidable if kind in self.voiding else placed))
        return placed + added

    def _moved(self, number: int) -> float:
        """Reordered a little; one in ten comes late, by anything up to the whole stream."""
        late = self.random.uniform(0, self.length) if self.random.random() < 0.1 else 0.0
        return number + self.random.uniform(-5, 5) + late

    def _near(self, place: float) -> float:
        return place + self.random.choice([-1.0, 1.0]) * self.random.choice([0.01, 3.0, self.length])

    def _after(self, place: float) -> float:
        return place + self.random.choice([0.01, 3.0, self.length])

    def _id(self, kind: str) -> str:
        self.made += 1
        return f"{kind}-{self.made}"

    # --- the same again ----------------------------------------------------------------------------------------------

    def duplicate(self, place: float, delivery: Delivery) -> list[Placed]:
        return [(self._near(place), delivery) for _ in range(self.random.randint(1, 3))]

    def rewritten_duplicate(self, place: float, delivery: Delivery) -> list[Placed]:
        """The same content in another writing: fields in another order, another envelope extension."""
        event = delivery.event
        data = dict(reversed(event["data"].items()))
        again: Event = {**dict(reversed(event.items())), "data": data, "attempt": "2"}
        return [(self._near(place), Delivery(delivery.publisher, again, self.received))]

    def conflict(self, place: float, delivery: Delivery) -> list[Placed]:
        """The same id with other content: whichever comes first stands."""
        other = copy_of(delivery.event, data={"quantity": delivery.event["data"].get("quantity", 1) + 1})
        return [(self._near(place), Delivery(delivery.publisher, other, self.received))]

    def same_id_from_another_source(self, place: float, delivery: Delivery) -> list[Placed]:
        event = delivery.event
        source, publisher = ("crm", "crm") if event["source"] != "crm" else ("poster", "poster")
        return [(self._near(place), Delivery(publisher, copy_of(event, source=source), self.received))]

    # --- voids -------------------------------------------------------------------------------------------------------

    def _void_of(self, delivery: Delivery, kind: str = "void", source: str | None = None) -> Delivery:
        target = {"source": delivery.event["source"], "id": delivery.event["id"]}
        event = {
            "specversion": "1.0",
            "id": self._id(kind),
            "source": source or delivery.event["source"],
            "type": VOIDED,
            "time": self.writer.moment(self.random.choice(self.days)),
            "data": {"target": target, "reason": "entered by mistake"},
        }
        return Delivery(source or delivery.publisher, event, self.received)

    def void(self, place: float, delivery: Delivery) -> list[Placed]:
        """Before or after its target; sometimes the target is sent again after it."""
        void = (self._near(place), self._void_of(delivery))
        return [void, (self._after(void[0]), delivery)] if self.random.random() < 0.3 else [void]

    def double_void(self, place: float, delivery: Delivery) -> list[Placed]:
        return [(self._near(place), self._void_of(delivery)), (self._near(place), self._void_of(delivery))]

    def void_of_a_void(self, place: float, delivery: Delivery) -> list[Placed]:
        void = self._void_of(delivery)
        return [(self._near(place), void), (self._near(place), self._void_of(void, "void-of-void"))]

    def foreign_void(self, place: float, delivery: Delivery) -> list[Placed]:
        foreign = "crm" if delivery.event["source"] != "crm" else "poster"
        return [(self._near(place), self._void_of(delivery, "foreign-void", foreign))]

    def correction(self, place: float, delivery: Delivery) -> list[Placed]:
        """A void and the right event under a new id, one after the other."""
        void = self._void_of(delivery, "correction-void")
        right = copy_of(delivery.event, id=self._id("corrected"), data={"quantity": self.random.randint(1, 9)})
        after = self._after(place)
        return [(after, void), (after + 0.001, Delivery(delivery.publisher, right, self.received))]

    # --- not (yet) valid ---------------------------------------------------------------------------------------------

    def rejected_then_mended(self, place: float, delivery: Delivery) -> list[Placed]:
        """A flawed form of the event under the same id: it is rejected if it comes first, a conflict if it does not."""
        return [(self._near(place), Delivery(delivery.publisher, self._flawed(delivery.event), self.received))]

    def malformed(self, place: float, delivery: Delivery) -> list[Placed]:
        flawed = {**self._flawed(delivery.event), "id": self._id("flawed")}
        return [(self._near(place), Delivery(delivery.publisher, flawed, self.received))]

    def _flawed(self, event: Event) -> Event:
        flaws: list[Callable[[], Event]] = [
            lambda: copy_of(event, data={"quantity": 0}),
            lambda: copy_of(event, data={"quantity": "3"}),
            lambda: copy_of(event, data={"form": "repost"}),
            lambda: copy_of(event, data={"on_topic": "yes"}),
            lambda: copy_of(event, data={"counterpart": event["subject"]}),
            lambda: copy_of(event, type="opsledger.activity.unheard.of"),
            lambda: copy_of(event, time="2999-01-01T00:00:00Z"),
            lambda: copy_of(event, time=str(event["time"])[:19]),
            lambda: {name: value for name, value in event.items() if name != "subject"},
            lambda: {name: value for name, value in event.items() if name != "time"},
        ]
        return self.random.choice(flaws)()

    def forbidden(self, place: float, delivery: Delivery) -> list[Placed]:
        """The mailer sends what it may not, or speaks in another's name."""
        name = self._id("forbidden")
        as_itself = copy_of(delivery.event, id=name, source="mailer", type="opsledger.activity.site.work")
        as_another = copy_of(delivery.event, id=name, source="crm", type="opsledger.activity.seo.task")
        return [(self._near(place), Delivery("mailer", self.random.choice([as_itself, as_another]), self.received))]

    def of_a_stranger(self, place: float, delivery: Delivery) -> list[Placed]:
        """Held for ever: of somebody whom org never learns of."""
        return [(place, Delivery(delivery.publisher, copy_of(delivery.event, id=self._id("held"), subject="P999")))]
