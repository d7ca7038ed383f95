"""The decisions: one case a command. Pure; answers with events, or none where nothing would change."""

from __future__ import annotations

from typing import assert_never

from contracts.org import (
    AbsencesChanged,
    AccountRegistered,
    MembershipsChanged,
    OrgEvent,
    PersonRegistered,
    PostDefined,
    PublisherRegistered,
    PublisherRevoked,
    RolesChanged,
    UnitDefined,
    UnitRetired,
)
from services.kernel.errors import Refusal
from services.org.checks import (
    check_absences,
    check_account,
    check_memberships,
    check_name,
    check_person_id,
    check_post_id,
    check_publisher,
    check_roles,
    check_unit,
)
from services.org.domain import (
    ChangeAbsences,
    ChangeMemberships,
    ChangeRoles,
    Command,
    DefinePost,
    DefineUnit,
    Organisation,
    Person,
    RegisterAccount,
    RegisterPerson,
    RegisterPublisher,
    RetireUnit,
    RevokePublisher,
)


def decide(organisation: Organisation, command: Command) -> list[OrgEvent]:  # noqa: C901 - one case a command
    """Return what follows from a command. Raises Refusal with code, field and remedy."""
    match command:
        case DefineUnit():
            return _define_unit(organisation, command)
        case RetireUnit():
            return _retire_unit(organisation, command)
        case DefinePost():
            return _define_post(organisation, command)
        case RegisterPerson():
            check_person_id(command.person)
            check_name(command.name, "name")
            known = organisation.people.get(command.person)
            if known is not None and known.name == command.name:
                return []
            return [PersonRegistered(person=command.person, name=command.name)]
        case ChangeMemberships() | ChangeAbsences() | ChangeRoles():
            return _change_person(organisation, command)
        case RegisterAccount():
            return _register_account(organisation, command)
        case RegisterPublisher():
            return _register_publisher(organisation, command)
        case RevokePublisher():
            publisher = organisation.publishers.get(command.publisher)
            if publisher is None:
                raise unknown("publisher", command.publisher)
            return [] if publisher.revoked else [PublisherRevoked(publisher=command.publisher)]
        case _:
            assert_never(command)


def _define_unit(organisation: Organisation, command: DefineUnit) -> list[OrgEvent]:
    new = command.unit
    check_unit(organisation, new)
    known = organisation.units.get(new.unit)
    if known == new:
        return []
    return [
        UnitDefined(
            unit=new.unit,
            kind=new.kind,
            name_zh=new.name_zh,
            name_en=new.name_en,
            parent=new.parent,
            order=new.order,
        )
    ]


def _retire_unit(organisation: Organisation, command: RetireUnit) -> list[OrgEvent]:
    known = organisation.units.get(command.unit)
    if known is None:
        raise unknown("unit", command.unit)
    if known.retired == command.on:
        return []
    for child in organisation.units.values():
        if child.parent == command.unit and (child.retired is None or child.retired > command.on):
            raise Refusal(
                "unit_has_units",
                f"{child.unit} stands under {command.unit} beyond {command.on}",
                status=409,
                field="on",
                remedy="Retire or move the units below it first.",
            )
    for person in organisation.people.values():
        for membership in person.memberships:
            if membership.unit == command.unit and (membership.until is None or membership.until > command.on):
                raise Refusal(
                    "unit_has_members",
                    f"{person.person} is a member of {command.unit} beyond {command.on}",
                    status=409,
                    field="on",
                    remedy="End or move the memberships first.",
                )
    return [UnitRetired(unit=command.unit, on=command.on)]


def _define_post(organisation: Organisation, command: DefinePost) -> list[OrgEvent]:
    new = command.post
    check_post_id(new.post)
    check_name(new.name_zh, "name_zh")
    check_name(new.name_en, "name_en")
    if new.unit is not None and new.unit not in organisation.units:
        raise unknown("unit", new.unit)
    if organisation.posts.get(new.post) == new:
        return []
    return [PostDefined(post=new.post, name_zh=new.name_zh, name_en=new.name_en, unit=new.unit)]


def _change_person(
    organisation: Organisation, command: ChangeMemberships | ChangeAbsences | ChangeRoles
) -> list[OrgEvent]:
    known: Person | None = organisation.people.get(command.person)
    if known is None:
        raise unknown("person", command.person)
    match command:
        case ChangeMemberships():
            memberships = check_memberships(organisation, command.memberships)
            if memberships == known.memberships:
                return []
            return [MembershipsChanged(person=command.person, memberships=list(memberships), reason=command.reason)]
        case ChangeAbsences():
            absences = check_absences(command.absences)
            if absences == known.absences:
                return []
            return [AbsencesChanged(person=command.person, absences=list(absences), reason=command.reason)]
        case ChangeRoles():
            roles = check_roles(organisation, command.roles)
            return [] if roles == known.roles else [RolesChanged(person=command.person, roles=list(roles))]
        case _:
            assert_never(command)


def _register_account(organisation: Organisation, command: RegisterAccount) -> list[OrgEvent]:
    new = check_account(organisation, command.account)
    if organisation.accounts.get((new.platform, new.handle)) == new:
        return []
    return [
        AccountRegistered(
            platform=new.platform,
            handle=new.handle,
            owner=new.owner,
            client=new.client,
            registered=list(new.registered),
            verified=list(new.verified),
        )
    ]


def _register_publisher(organisation: Organisation, command: RegisterPublisher) -> list[OrgEvent]:
    new = check_publisher(organisation, command.publisher)
    if organisation.publishers.get(new.publisher) == new:
        return []
    return [
        PublisherRegistered(
            publisher=new.publisher,
            title=new.title,
            types=list(new.types),
            sources=list(new.sources),
            contexts=list(new.contexts),
        )
    ]


def unknown(kind: str, key: str, field: str | None = None) -> Refusal:
    """The refusal of a reference to what is not on record."""
    return Refusal(
        f"unknown_{kind}",
        f"there is no {kind} {key!r}",
        status=404 if field is None else 422,
        field=field or kind,
        remedy=f"Register the {kind} first, or mend its id.",
    )
