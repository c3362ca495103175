"""Time and memory of importing a school of 20,000: the real `roster_import`, with AWS in another process.

`python -m bench.roster [people]` prints JSON. Two imports: everybody is new; then a week later, when some numbers have
changed and some students have left.
"""

import contextlib
import io
import json
import os
import random
import resource
import sys
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

from bench.dispatch import become, load
from bench.other_process import server
from tests import conftest  # sets the environment: before anything of recado

ROOT = Path(__file__).parent.parent
PEOPLE = 20_000
SCHOOL = "bench"
STUDENTS_IN_A_COURSE = 35
SUBJECTS = range(1, 7)  # classes of a student besides the homeroom, as portals send them
MEGABYTE = 1024.0 * 1024
GRADES = ("PK", "KG", *(f"{year:02}" for year in range(1, 13)))


class Context:
    """What Lambda tells the function about its own run."""

    function_name = "roster_import"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:roster_import"
    aws_request_id = "52fdfc07-2182-454f-963f-5f0f9a621d72"

    def get_remaining_time_in_millis(self) -> int:
        return 600_000


def main() -> None:
    people = int(sys.argv[1]) if len(sys.argv) > 1 else PEOPLE
    with server("bench.memory_server") as url:
        become({name: os.environ[name] for name in conftest.environment()}, url)
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # the function's log lines
            measured = measure(people)
    json.dump(measured, sys.stdout)


def measure(people: int) -> dict[str, Any]:
    from recado.aws import client
    from recado.tables import schools
    from recado.tables.base import Transaction
    from tests.worlds import NOON

    one = schools.School(SCHOOL, "Escuela", "CL", "America/Santiago", "", schools.Contract.ACTIVE, 1, NOON)
    with Transaction() as write:
        schools.create_school(write, one, AssertionError("a new table"))
    client("s3").put_object(Bucket=os.environ["IMPORT_BUCKET"], Key="warm", Body=b"")
    app = load("roster_import")
    results: dict[str, Any] = {"people": people}
    for name, week in (("everybody_new", 0), ("a_week_later", 1)):
        content = roster_zip(people, week)
        results[name] = {"zip_megabytes": len(content) / MEGABYTE} | _import(app, name.replace("_", "-"), content)
    return results


def _import(app: Any, import_id: str, content: bytes) -> dict[str, Any]:
    """As a portal does it: begin, upload, compare, apply."""
    from recado import clock, imports
    from recado.access import Caller
    from recado.aws import client
    from recado.rules.roles import Role

    director = Caller(SCHOOL, Role.DIRECTOR, "bench")
    begun = imports.create_import(director, ("roster.zip",), import_id, clock.now(), is_first=True)
    key = f"imports/{SCHOOL}/{begun.id}/roster.zip"
    client("s3").put_object(Bucket=os.environ["IMPORT_BUCKET"], Key=key, Body=content)
    compared = _timed(lambda: app.handler({"Records": [{"s3": {"object": {"key": key}}}]}, Context()))
    imports.apply_import(director, begun.id, clock.now(), confirm_gone=False)
    job = {"body": json.dumps({"school": SCHOOL, "import": begun.id})}
    applied = _timed(lambda: app.handler({"Records": [job]}, Context()))
    done = imports.get_import(director, begun.id)
    if done.state.value != "done":
        raise RuntimeError(f"the import is {done.state.value}: there is nothing to measure")
    return {"written": done.progress.total, "compare": compared, "apply": applied}


def _timed(work: Any) -> dict[str, float]:
    with Peak() as peak:
        began = time.perf_counter(), time.process_time()
        work()
        ended = time.perf_counter(), time.process_time()
    return {
        "seconds": ended[0] - began[0],
        "processor_seconds": ended[1] - began[1],
        "peak_megabytes": peak.megabytes,
        "grew_megabytes": peak.grew,
    }


class Peak:
    """The most memory this process had resident meanwhile, looked at fifty times a second."""

    def __enter__(self) -> "Peak":
        self._before = self._most = _resident()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.megabytes, self.grew = self._most / MEGABYTE, (self._most - self._before) / MEGABYTE

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self._most = max(self._most, _resident())


def _resident() -> int:
    statm = Path("/proc/self/statm")
    if not statm.exists():  # not Linux: the most it ever had
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return int(statm.read_text().split()[1]) * resource.getpagesize()


# --- a school, always the same --------------------------------------------------------------------------------


def roster_zip(people: int, week: int) -> bytes:
    """Of ten people four are students, five guardians and one teaches.

    Each `week` one of twenty guardians has another number, and one of a hundred students has left.
    """
    chance = random.Random(7)  # noqa: S311  # always the same school
    students, guardians = people * 4 // 10, people * 5 // 10
    courses = max(1, students // STUDENTS_IN_A_COURSE)
    files = {
        "orgs.csv": ["sourcedId,name,type", f"{SCHOOL},Escuela,school"],
        "classes.csv": ["sourcedId,title,grades,classType"],
        "users.csv": ["sourcedId,orgSourcedIds,role,givenName,familyName,sms,agentSourcedIds,grades"],
        "enrollments.csv": ["sourcedId,classSourcedId,userSourcedId,role"],
    }
    for course in range(courses):
        grade = GRADES[course * len(GRADES) // courses]
        files["classes.csv"].append(f"course-{course},Curso {course},{grade},homeroom")
        files["classes.csv"] += [f"class-{course}-{number},Clase {number},{grade},scheduled" for number in SUBJECTS]
    for student in range(students):
        course = student * courses // students
        names = f"{chance.choice(NAMES)} {chance.choice(NAMES)},{chance.choice(FAMILIES)} {chance.choice(FAMILIES)}"
        parents = {student * guardians // students % guardians, (student * 7 + 3) % guardians}
        agents = ",".join(f"g{one}" for one in sorted(parents))
        if week and student % 100 == 99:
            continue
        grade = GRADES[course * len(GRADES) // courses]
        files["users.csv"].append(f'student-{student},{SCHOOL},student,{names},,"{agents}",{grade}')
        classes = (f"course-{course}", *(f"class-{course}-{number}" for number in SUBJECTS))
        files["enrollments.csv"] += [f"e-{student}-{one},{one},student-{student},student" for one in classes]
    for guardian in range(guardians):
        names = f"{chance.choice(NAMES)},{chance.choice(FAMILIES)} {chance.choice(FAMILIES)}"
        new = week * 100_000 if guardian % 20 == 0 else 0
        files["users.csv"].append(f"g{guardian},{SCHOOL},guardian,{names},9{55_000_000 + guardian + new},,")
    for teacher in range(people - students - guardians):
        names = f"{chance.choice(NAMES)},{chance.choice(FAMILIES)}"
        files["users.csv"].append(f"t{teacher},{SCHOOL},teacher,{names},9{56_000_000 + teacher},,")
        course = teacher % courses
        files["enrollments.csv"] += [f"e-t{teacher},course-{course},t{teacher},teacher"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, lines in files.items():
            opened.writestr(zipfile.ZipInfo(name), "\n".join(lines) + "\n", zipfile.ZIP_DEFLATED)
    return archive.getvalue()


NAMES = ("Lautaro", "Emilia", "Rosa", "Hugo", "Iván", "Begoña", "Martina", "Sofía", "Benjamín", "Agustín", "Isidora")
FAMILIES = ("Soto", "Catrileo", "Ibáñez", "Núñez", "Muñoz", "Huenchumán", "González", "Rojas", "Díaz", "Pérez", "Peña")


if __name__ == "__main__":
    main()
