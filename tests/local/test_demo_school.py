"""The demo school's files: that its script still makes them, and that everybody the guide needs is in it."""

import csv
from datetime import date
from pathlib import Path

import pytest

from local.demo.make_roster import DEMO, demo_files
from recado.rules.credit_bags import Zone
from recado.rules.oneroster import Roster, read_roster
from recado.rules.phone_numbers import zone_of


@pytest.fixture(scope="module")
def roster() -> Roster:
    streams = {path.name.lower(): path.open("rb") for path in (DEMO / "oneroster").glob("*.csv")}
    try:
        return read_roster(streams, "CL", date(2026, 11, 23))
    finally:
        for stream in streams.values():
            stream.close()


@pytest.fixture(scope="module")
def opted_out() -> set[str]:
    with (DEMO / "opt_outs.csv").open(encoding="utf-8", newline="") as opened:
        return {row["sourcedId"] for row in csv.DictReader(opened) if row["reason"]}


def test_the_script_makes_the_files_of_the_repository() -> None:
    made = demo_files()

    assert {str(path.relative_to(DEMO)) for path in DEMO.rglob("*.csv")} == made.keys()
    assert [path for path, content in made.items() if Path(DEMO, path).read_bytes() != content] == []


def test_the_demo_school_reads_without_a_bad_row(roster: Roster) -> None:
    assert roster.bad_rows == ()
    assert roster.unread == roster.incomplete == frozenset()


def test_the_demo_school_is_as_large_as_it_says(roster: Roster) -> None:
    roles = [person.role for person in roster.people.values()]
    kinds = [group.kind for group in roster.groups.values()]

    assert roles.count("student") == 340
    assert sum(roles.count(role) for role in ("administrator", "teacher", "staff")) == 35
    assert (kinds.count("course"), kinds.count("grade"), kinds.count("level")) == (15, 14, 3)
    assert {group.name for group in roster.groups.values()} >= {"7° Básico B", "Kínder A", "2° Medio A"}


def test_every_student_has_one_or_two_guardians_and_a_course(roster: Roster) -> None:
    courses = {group.id for group in roster.groups.values() if group.kind == "course"}

    for person in roster.people.values():
        if person.role == "student":
            assert 1 <= len(person.guardians) <= 2
            assert len(person.groups & courses) == 1


def test_7_basico_b_has_one_of_every_kind_of_guardian(roster: Roster, opted_out: set[str]) -> None:
    here = [one for one in roster.people.values() if one.role == "guardian" and "course-7b" in one.groups]
    numbers = [one.number for one in here if one.number]

    assert any(one.id in opted_out and one.number for one in here)
    assert any(one.number is None and not one.number_problem for one in here)
    assert {one.typed_number for one in here if one.number_problem} >= {"12345", "no tiene"}
    assert {zone_of(number, "CL") for number in numbers} == {Zone.DOMESTIC, Zone.INTERNATIONAL}
    assert any(len([group for group in one.groups if group.startswith("course-")]) > 1 for one in here)
    assert len(set(numbers)) < len(numbers)


def test_numbers_of_every_country_named_are_there_and_all_are_invented(roster: Roster) -> None:
    numbers = {one.number for one in roster.people.values() if one.number}

    for prefix in ("+569", "+549", "+51", "+58", "+34", "+1212", "+1809", "+1829", "+1849"):
        assert any(number.startswith(prefix) for number in numbers), prefix
    assert all("555" in number for number in numbers)


def test_the_opted_out_are_of_the_school(roster: Roster, opted_out: set[str]) -> None:
    assert len(opted_out) >= 5
    assert opted_out <= roster.people.keys()
