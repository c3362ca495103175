"""Every route of the API once: who may use it, and a request that could be somebody's. A new route needs a row here.

`tests/functions/test_roles.py`, `test_other_school.py` and `test_bad_fields.py` go through it; they say which row is
missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from recado import custom_groups, events, inbox, portal_webhooks, templates
from recado.events import NewEvent
from recado.rules import signatures, tariffs
from recado.rules.event_types import EventType
from recado.rules.import_states import ImportState
from recado.rules.message_states import Category
from recado.rules.roles import Role
from recado.rules.webhook_deliveries import DeliveryState, delivery_id
from recado.tables import events as event_table
from recado.tables import imports, ratings, replies, short_codes, webhook_deliveries
from recado.tables import tariffs as tariff_table
from recado.tables.base import Transaction
from recado.tables.imports import Import
from recado.tables.inbox import InboxCopy
from recado.tables.portal_keys import KeyKind
from recado.tables.ratings import RatedReply
from recado.tables.replies import Reply
from recado.tables.short_codes import Purpose, ShortCode
from recado.tables.tariffs import Announced
from recado.tables.webhook_deliveries import Delivery
from recado.templates import Content
from tests import worlds
from tests.conftest import all_tables, client, queue_url, resources
from tests.gateway import Request
from tests.tokens import MASTER, create_key, mint
from tests.worlds import COURSE, DIRECTOR, NOON, SCHOOL, TestClock

OTHER = "liceo-2"
SESSION = "s" + "a" * 25
PERSON = "g00000"

# Whoever may come: each role of a portal's token, the platform's staff, a session's token, and nobody at all.
SESSION_TOKEN, NOBODY = "session", "nobody"
PORTAL = ("director", "administrator", "teacher", "staff", "guardian", "student")
EVERYBODY = (*PORTAL, "operator", SESSION_TOKEN, NOBODY)

IN_CHARGE = frozenset({"director", "administrator"})
OFFICE = frozenset({"director", "administrator"})
ANY_OF_A_SCHOOL = frozenset(PORTAL)
FAMILIES = frozenset({"guardian", "student"})
OPERATOR = frozenset({"operator"})
SESSION_ONLY = frozenset({SESSION_TOKEN})
ANYBODY = frozenset(EVERYBODY)
ONLY_SIGNED = frozenset[str]()  # a carrier's webhook: what counts is its signature, and no token helps

# Why a route with an id in its path has no other school to be asked from.
OPERATORS = "every school is the operator's"
SESSIONS = "a session is nobody's school; its own token alone opens it"
CARRIERS = "a carrier is nobody's school; its signature alone counts"


@dataclass(frozen=True)
class Row:
    """`roles`: who gets further than 401 and 403. `body`, `query`: a request that nothing is wrong with.

    `no_other_school`: why nobody of another school can ask; empty: they can, and get 404. `of`: which of the world's
    objects an id in the path names, where it is not the first of its kind. `media_type`: the body's, if it is no JSON.
    """

    roles: frozenset[str]
    body: Any = None
    query: Mapping[str, str] = field(default_factory=dict)
    no_other_school: str = ""
    of: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"


CONTENT = {
    "text": "Mañana no hay clases.",
    "category": "classes_cancelled",
    "audience": {"who": ["guardians"], "groups": [COURSE], "people": [], "minus_people": [], "minus_groups": []},
    "channels": ["sms"],
    "confirm_notice_by_sms": False,
}
ALERT = CONTENT | {"send": {"at": "2026-11-24T12:00:00Z"}}
TEMPLATE = {"name": "Sin clases", "text": "Mañana {course} no tiene clases.", "category": "classes_cancelled"}
TEXT_TO_TRY = {"text": "Mañana {course} no tiene clases.", "values": {"student": [], "course": ["7° B"]}}
NEW_PERSON = {"role": "guardian", "given_name": "Hugo", "family_name": "Ibáñez", "number": "+56955550150"}
LOW_BALANCE = {"domestic": 50, "international": None}
SETTINGS = {"quiet_hours": {"from": "21:00", "until": "07:00"}, "low_balance": LOW_BALANCE, "language": "es"}
SENT = {"message_id": "sent_message_id"}
NEW_SCHOOL = {"id": "liceo-9", "name": "Liceo", "country": "CL", "time_zone": "America/Santiago", "code": "44109"}
BAG = {"zone": "domestic", "credits": 40}
TAX = {"name": "ITBIS", "share": "0.18"}
TARIFF = {"country": "DO", "valid_from": "2026-12-01", "currency": "DOP", "price": "1.25", "taxes": [TAX]}
ROUTE = {"ways": [{"carrier": "signed_webhook", "sender": ""}, {"carrier": "sns", "sender": "20600"}]}
HOLD = {"action": "hold", "country": "CL", "reason": "mantenimiento"}
DAYS = {"country": "DO", "from": "2026-11-01", "to": "2026-11-22"}

TABLE: Mapping[str, Row] = {
    # messages
    "POST /messages": Row(IN_CHARGE, ALERT),
    "GET /messages": Row(IN_CHARGE, query={"limit": "5"}),
    "POST /messages/estimate": Row(IN_CHARGE, CONTENT | {"limit": 5}),
    "GET /messages/{message_id}": Row(IN_CHARGE),
    "PUT /messages/{message_id}": Row(IN_CHARGE, CONTENT),
    "POST /messages/{message_id}/estimate": Row(IN_CHARGE, {"limit": 5}),
    "POST /messages/{message_id}/send": Row(IN_CHARGE, {"despite_quiet_hours": False}),
    "POST /messages/{message_id}/schedule": Row(IN_CHARGE, {"at": "2026-11-24T12:00:00Z"}),
    "POST /messages/{message_id}/cancel": Row(IN_CHARGE),
    "POST /messages/{message_id}/stop": Row(IN_CHARGE),
    "POST /messages/{message_id}/again": Row(IN_CHARGE, {"states": ["unreachable", "no_number"]}, of=SENT),
    "GET /messages/{message_id}/recipients": Row(IN_CHARGE, query={"limit": "5"}, of=SENT),
    "GET /messages/{message_id}/recipients.csv": Row(IN_CHARGE, of=SENT),
    "GET /messages/{message_id}/statement": Row(IN_CHARGE, of=SENT),
    "POST /groups/{group_id}/data-check": Row(IN_CHARGE),
    "GET /replies": Row(
        IN_CHARGE,
        query={
            "limit": "5",
            "number": "+56900000000",
            "code": "20600",
            "word": "stop",
            "message": "m1",
            "since": "2026-11-01T00:00:00Z",
            "until": "2026-12-01T00:00:00Z",
        },
    ),
    "GET /replies/{reply_id}": Row(IN_CHARGE, of={"reply_id": "school_reply_id"}),
    # templates
    "POST /templates": Row(IN_CHARGE, TEMPLATE),
    "GET /templates": Row(IN_CHARGE, query={"limit": "5"}),
    "POST /templates/preview": Row(IN_CHARGE, TEXT_TO_TRY),
    "GET /templates/{template_id}": Row(IN_CHARGE, query={"version": "1"}),
    "GET /templates/{template_id}/versions": Row(IN_CHARGE, query={"limit": "5"}),
    "PUT /templates/{template_id}": Row(IN_CHARGE, TEMPLATE | {"version": 1}),
    "DELETE /templates/{template_id}": Row(IN_CHARGE),
    # directory
    "GET /groups": Row(OFFICE),
    "POST /groups": Row(OFFICE, {"name": "Buses", "people": [PERSON]}),
    "PATCH /groups/{group_id}": Row(OFFICE, {"name": "Buses de la tarde"}),
    "DELETE /groups/{group_id}": Row(OFFICE),
    "POST /groups/{group_id}/members": Row(OFFICE, {"add": [PERSON], "with_guardians": True}),
    "GET /people": Row(OFFICE, query={"group": COURSE}),
    "POST /people": Row(OFFICE, NEW_PERSON),
    "GET /people/unreachable": Row(OFFICE, query={"group": COURSE}),
    "GET /people/unreachable.csv": Row(OFFICE, query={"lang": "en"}),
    "GET /people/{person_id}": Row(OFFICE),
    "PATCH /people/{person_id}": Row(OFFICE, {"family_name": "Muñoz Soto"}),
    "DELETE /people/{person_id}": Row(OFFICE),
    "PUT /people/{person_id}/sms": Row(OFFICE, {"allowed": False, "reason": "lo pidió"}),
    "GET /people/{person_id}/numbers": Row(OFFICE),
    "GET /people/{person_id}/opt-outs": Row(OFFICE),
    "GET /me": Row(ANY_OF_A_SCHOOL),
    "PUT /me/sms": Row(ANY_OF_A_SCHOOL, {"allowed": False}),
    "PUT /me/number": Row(FAMILIES, {"number": "+56955550151"}),
    # the roster's uploads
    "POST /imports": Row(OFFICE, {"files": ["roster.zip"]}),
    "GET /imports": Row(OFFICE),
    "GET /imports/{import_id}": Row(OFFICE),
    "GET /imports/{import_id}/changes": Row(OFFICE, query={"kind": "guardians"}),
    "GET /imports/{import_id}/bad-rows": Row(OFFICE),
    "GET /imports/{import_id}/bad-rows.csv": Row(OFFICE, query={"lang": "en"}),
    "POST /imports/{import_id}/check": Row(OFFICE),
    "POST /imports/{import_id}/apply": Row(OFFICE, {"confirm_gone": True}),
    "POST /imports/{import_id}/discard": Row(OFFICE),
    # credits
    "GET /credits": Row(IN_CHARGE),
    "GET /credits/statement": Row(IN_CHARGE, query={"zone": "domestic"}),
    "GET /credits/statement.csv": Row(IN_CHARGE, query={"zone": "domestic"}),
    "GET /credits/use": Row(IN_CHARGE, query={"weeks": "4"}),
    "GET /credits/bags": Row(ANY_OF_A_SCHOOL),
    "POST /credits/bags/requests": Row(IN_CHARGE, {"bag": "domestic-500"}),
    "POST /credits/refunds": Row(IN_CHARGE),
    # message centre
    "GET /inbox": Row(ANY_OF_A_SCHOOL, query={"limit": "5"}),
    "GET /inbox/unread": Row(ANY_OF_A_SCHOOL),
    "PUT /inbox/read": Row(ANY_OF_A_SCHOOL, {"until": "2026-11-23T12:00:00Z"}),
    "GET /inbox/{message_id}": Row(ANY_OF_A_SCHOOL, of=SENT),
    "PUT /inbox/{message_id}/read": Row(ANY_OF_A_SCHOOL, of=SENT),
    "DELETE /inbox/{message_id}": Row(ANY_OF_A_SCHOOL, of=SENT),
    # school
    "GET /school": Row(IN_CHARGE),
    "PUT /school/settings": Row(IN_CHARGE, SETTINGS | {"version": 0}),
    "GET /events": Row(IN_CHARGE, query={"after": "0"}),
    # the school's webhook
    "GET /portal-webhook": Row(IN_CHARGE),
    "PUT /portal-webhook": Row(IN_CHARGE, {"url": "https://portal.escuela.cl/recado", "events": ["message.sent"]}),
    "DELETE /portal-webhook": Row(IN_CHARGE),
    "POST /portal-webhook/secret": Row(IN_CHARGE, {"overlap_seconds": 60}),
    "POST /portal-webhook/test": Row(IN_CHARGE),
    "POST /portal-webhook/enable": Row(IN_CHARGE),
    "POST /portal-webhook/replay": Row(IN_CHARGE, {"from": 1}),
    "GET /portal-webhook/deliveries": Row(IN_CHARGE, query={"state": "delivered"}),
    "GET /portal-webhook/deliveries/{delivery_id}": Row(IN_CHARGE),
    "POST /portal-webhook/deliveries/{delivery_id}/replay": Row(IN_CHARGE),
    # operator
    "GET /operator/schools": Row(OPERATOR, query={"limit": "5"}),
    "POST /operator/schools": Row(OPERATOR, NEW_SCHOOL),
    "GET /operator/schools/{school_id}": Row(OPERATOR, no_other_school=OPERATORS),
    "PATCH /operator/schools/{school_id}": Row(OPERATOR, {"name": "Otro nombre"}, no_other_school=OPERATORS),
    "PUT /operator/schools/{school_id}/contract": Row(OPERATOR, {"contract": "active"}, no_other_school=OPERATORS),
    "GET /operator/schools/{school_id}/keys": Row(OPERATOR, no_other_school=OPERATORS),
    "POST /operator/schools/{school_id}/keys": Row(OPERATOR, {"kind": "test"}, no_other_school=OPERATORS),
    "POST /operator/schools/{school_id}/keys/{key_id}/rotate": Row(OPERATOR, {"overlap_seconds": 60}),
    "DELETE /operator/schools/{school_id}/keys/{key_id}": Row(OPERATOR),
    "POST /operator/schools/{school_id}/bags": Row(OPERATOR, BAG, no_other_school=OPERATORS),
    "GET /operator/schools/{school_id}/bags/requests": Row(OPERATOR, no_other_school=OPERATORS),
    "GET /operator/schools/{school_id}/credits": Row(OPERATOR, no_other_school=OPERATORS),
    "GET /operator/schools/{school_id}/statement": Row(OPERATOR, no_other_school=OPERATORS),
    "POST /operator/short-codes": Row(OPERATOR, {"country": "DO", "code": "44201", "purpose": "sessions"}),
    "GET /operator/short-codes": Row(OPERATOR, query={"country": "CL"}),
    "GET /operator/short-codes/capacity": Row(OPERATOR, query={"country": "CL", "sessions_per_hour": "2"}),
    "POST /operator/short-codes/{country}/{code}/drain": Row(OPERATOR, no_other_school=OPERATORS),
    "PUT /operator/short-codes/{country}/{code}/pace": Row(
        OPERATOR, {"parts_per_second": 10}, no_other_school=OPERATORS
    ),
    "DELETE /operator/short-codes/{country}/{code}": Row(OPERATOR, no_other_school=OPERATORS),
    "GET /operator/fleets/{country}": Row(OPERATOR, query={"limit": "5"}, no_other_school=OPERATORS),
    "POST /operator/fleets/{country}": Row(OPERATOR, {"number": "9 5555 0101"}, no_other_school=OPERATORS),
    "GET /operator/fleets/{country}/list.csv": Row(OPERATOR, no_other_school=OPERATORS),
    "POST /operator/fleets/{country}/list.csv": Row(
        OPERATOR, "number\n9 5555 0101\n", no_other_school=OPERATORS, media_type="text/csv"
    ),
    "GET /operator/fleets/{country}/{number}": Row(OPERATOR, no_other_school=OPERATORS),
    "DELETE /operator/fleets/{country}/{number}": Row(OPERATOR, no_other_school=OPERATORS),
    # carriers and routes
    "GET /operator/routes": Row(OPERATOR),
    "PUT /operator/routes/{country}/{category}": Row(OPERATOR, ROUTE, no_other_school=OPERATORS),
    "DELETE /operator/routes/{country}/{category}": Row(OPERATOR, no_other_school=OPERATORS),
    "GET /operator/carriers": Row(OPERATOR),
    "POST /operator/carriers/{carrier}/circuit": Row(OPERATOR, HOLD, no_other_school=OPERATORS),
    # what handset messages cost
    "GET /operator/tariffs": Row(OPERATOR, query={"country": "DO"}),
    "POST /operator/tariffs": Row(OPERATOR, TARIFF),
    "DELETE /operator/tariffs/{country}/{valid_from}": Row(OPERATOR, no_other_school=OPERATORS),
    "GET /operator/ratings.csv": Row(OPERATOR, query=DAYS | {"limit": "5"}),
    "GET /operator/ratings/totals": Row(OPERATOR, query=DAYS | {"limit": "5"}),
    "GET /operator/ratings/{carrier}/{reply_id}": Row(OPERATOR, no_other_school=OPERATORS),
    "GET /operator/sessions/counts": Row(OPERATOR, query={"country": "DO", "from": "2026-11-22", "to": "2026-11-23"}),
    # sessions
    "GET /sessions/settings": Row(ANYBODY),
    "POST /sessions": Row(ANYBODY, {"text": "hola", "to": ["809 555 0101"]}),
    "POST /sessions/{session_id}/messages": Row(SESSION_ONLY, {"text": "hola"}, no_other_school=SESSIONS),
    "GET /sessions/{session_id}/messages": Row(SESSION_ONLY, no_other_school=SESSIONS),
    "POST /sessions/{session_id}/extend": Row(SESSION_ONLY, no_other_school=SESSIONS),
    "DELETE /sessions/{session_id}": Row(SESSION_ONLY, no_other_school=SESSIONS),
    # carriers
    "POST /carriers/{carrier}/replies": Row(ONLY_SIGNED, no_other_school=CARRIERS),
    "POST /carriers/{carrier}/receipts": Row(ONLY_SIGNED, no_other_school=CARRIERS),
    # public
    "GET /health": Row(ANYBODY),
    "GET /openapi.json": Row(ANYBODY),
    "GET /docs": Row(ANYBODY),
}


@dataclass(frozen=True)
class World:
    """What exists in SCHOOL, by the name that routes have for its id; OTHER exists too and has nothing."""

    ids: Mapping[str, str]

    def request(self, route: str, **changes: Any) -> Request:
        """The row's request about what is in SCHOOL, under a fresh Idempotency-Key."""
        row, number = TABLE[route], next(_numbers)
        named = {name: self.ids[row.of.get(name, name)] for name in self.ids if f"{{{name}}}" in route}
        found = {"body": row.body, "query": row.query, "parameters": named} | changes
        headers = {"Idempotency-Key": f"{route.split(' ')[0]}-{number:030}"}
        headers |= {"Content-Type": row.media_type} if found["body"] is not None else {}
        found["headers"] = headers | found.get("headers", {})
        return Request(route, **found)


_numbers = iter(range(10**9))


def build_world(clock: TestClock) -> World:
    """Two schools: one with something of everything, the other with a key and nothing else.

    Everybody's token names the person PERSON: whoever works at a school has an inbox too (L4).
    """
    worlds.create_school()
    worlds.create_school(OTHER, code="")
    worlds.add_guardians(3)
    for school_id, key_id, kind in ((SCHOOL, "k1", KeyKind.PORTAL), (OTHER, "k2", KeyKind.PORTAL)):
        create_key(school_id, key_id, kind)
    create_key("platform", "op", KeyKind.OPERATOR)
    draft = worlds.create(worlds.alert(send=False), clock)
    sent = worlds.create(worlds.alert(), clock, key="key-2")
    inbox.deliver_copies(SCHOOL, [InboxCopy(PERSON, sent.id, Category.CLASSES_CANCELLED, worlds.ALERT, NOON)])
    text = Content("Sin luz", Category.OTHER_ALERT, "Hoy {course} sale a las 13:00.", False)
    template = templates.create(DIRECTOR, text, "key-3", clock(), is_first=True)
    group = custom_groups.create_group(DIRECTOR, "Coro", [PERSON], "key-4", is_first=True)
    told = EventType.MESSAGE_SENT
    events.raise_event(SCHOOL, NewEvent(told, "test", clock(), {"message": sent.id}))
    portal_webhooks.save_webhook(DIRECTOR, "https://portal.escuela.cl/", [told], request_key="key-5", now=clock())
    events.raise_event(SCHOOL, NewEvent(told, "test-2", clock(), {"message": sent.id}))
    with Transaction() as write:  # brought, as its worker would have written it
        event = event_table.list_latest(SCHOOL, limit=1)[0]
        brought = Delivery(
            event.number, event.type, DeliveryState.DELIVERED, 1, NOON, NOON, 1, None, None, done_at=NOON
        )
        webhook_deliveries.begin(write, SCHOOL, brought, None, AssertionError("a new table"))
    with Transaction() as write:
        waiting = Import(
            "import-1", ImportState.WAITING_FOR_UPLOAD, NOON, started_by="directora", files=("roster.zip",)
        )
        imports.create_import(write, SCHOOL, waiting, AssertionError("a new table"))
    assert short_codes.create_code(ShortCode("CL", "20600", "signed_webhook", Purpose.SCHOOLS, SCHOOL))
    announced = tariffs.read_tariff(date(2026, 12, 24), "CLP", "50", [("IVA", "0.19")])
    assert tariff_table.create_tariff(Announced("CL", announced, NOON, "op"))
    with Transaction() as write:
        rated = RatedReply("signed_webhook", "r-1", "CL", "+56955550101", "20600", NOON, tariffs.rate_by(announced))
        ratings.create_rating(write, rated, seen_before=AssertionError("a new table"))
    reply = Reply(SCHOOL, "signed_webhook#r-1", "+56955550101", "20600", "Gracias, Rosa", NOON)
    with Transaction() as write:
        replies.create_reply(write, reply, expires_at=2_000_000_000, seen_before=AssertionError("a new table"))
    return World(
        {
            "message_id": draft.id,
            "sent_message_id": sent.id,
            "template_id": template.id,
            "group_id": group.record.id,
            "person_id": PERSON,
            "import_id": "import-1",
            "school_id": SCHOOL,
            "key_id": "k1",
            "country": "CL",
            "code": "20600",
            "number": "+56955550101",
            "session_id": SESSION,
            "carrier": "signed_webhook",
            "reply_id": "r-1",
            "school_reply_id": reply.id,
            "valid_from": "2026-12-24",
            "delivery_id": delivery_id(SCHOOL, event.number),
            "category": "meeting",
        }
    )


def token_of(who: str, clock: TestClock, school_id: str = SCHOOL) -> str | None:
    """A token of this role (or of SESSION), as the portal of this school signs it; None for nobody."""
    if who == NOBODY:
        return None
    if who == SESSION_TOKEN:
        return signatures.session_token(MASTER, SESSION, 1)
    if who == Role.OPERATOR:
        return mint("platform", clock(), "op", role="operator")
    return mint(school_id, clock(), "k1" if school_id == SCHOOL else "k2", role=who, person=PERSON)


def everything() -> dict[str, Any]:
    """Every row of every table and how many jobs wait; but for the counts of requests, which every request raises."""
    found: dict[str, Any] = {
        table: [row for row in rows if not row["pk"]["S"].startswith("REQUESTS#")]
        for table, rows in all_tables().items()
    }
    for queue in resources("AWS::SQS::Queue"):
        attributes = client("sqs").get_queue_attributes(QueueUrl=queue_url(queue), AttributeNames=["All"])["Attributes"]
        found[queue] = attributes["ApproximateNumberOfMessages"]
    return found


def without_key_uses(found: Mapping[str, Any]) -> dict[str, Any]:
    """The same without uses of Idempotency-Keys that have no answer: a refusal gives its key back."""
    return {
        name: [row for row in rows if not (row["pk"]["S"].startswith("IDEM#") and "answer" not in row)]
        if isinstance(rows, list)
        else rows
        for name, rows in found.items()
    }
