"""Writes the demo school "Escuela Los Aromos" as OneRoster 1.1 CSV files (bulk), with its opt-outs: always the same.

Nobody in it exists. Every number follows one invented pattern, whose digits a reader knows for a demo's at once:
Chile +56 9 5555 NNNN, Dominican Republic +1 809|829|849 555 01NN, United States +1 212 555 01NN,
Argentina +54 9 11 5555 01NN, Peru +51 955 550 1NN, Venezuela +58 412 555 01NN, Spain +34 655 550 1NN.
"""

import argparse
import csv
import io
import random
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SEED = 20260304  # the first day of the demo's school year
DEMO = Path(__file__).parent
SCHOOL_ID = "los-aromos"
SCHOOL_NAME = "Escuela Los Aromos"
SPECIAL_COURSE = "course-7b"  # has one of every kind of guardian; its families are written out by hand below

# class sourcedId, title, OneRoster grade code, students
COURSES = (
    ("course-pka", "Prekínder A", "PK", 20),
    ("course-ka", "Kínder A", "KG", 22),
    ("course-1a", "1° Básico A", "01", 23),
    ("course-2a", "2° Básico A", "02", 23),
    ("course-3a", "3° Básico A", "03", 23),
    ("course-4a", "4° Básico A", "04", 23),
    ("course-5a", "5° Básico A", "05", 23),
    ("course-6a", "6° Básico A", "06", 24),
    ("course-7a", "7° Básico A", "07", 23),
    ("course-7b", "7° Básico B", "07", 24),
    ("course-8a", "8° Básico A", "08", 24),
    ("course-1ma", "1° Medio A", "09", 23),
    ("course-2ma", "2° Medio A", "10", 22),
    ("course-3ma", "3° Medio A", "11", 22),
    ("course-4ma", "4° Medio A", "12", 21),
)
WORKSHOPS = (("workshop-chess", "Taller de Ajedrez", "07,08,09"), ("workshop-choir", "Coro", "05,06,07,08"))
GRADES_WITH_OWN_NUMBER = frozenset({"09", "10", "11", "12"})  # older students have a handset of their own


def words(text: str) -> list[str]:
    return text.split()


GIRLS = words("""
    Agustina Amanda Antonella Antonia Catalina Constanza Emilia Emma Fernanda Florencia Francisca Ignacia Isidora
    Javiera Josefa Julieta Magdalena Martina Matilde Maite Millaray Monserrat Pía Rayén Renata Rocío Sofía Trinidad
    Valentina Violeta Ximena Belén Araceli Begoña
""")
BOYS = words("""
    Agustín Alonso Benjamín Bastián Cristóbal Damián Diego Emilio Facundo Felipe Gaspar Ignacio Joaquín José Lautaro
    León Lucas Luciano Martín Mateo Matías Maximiliano Nahuel Nicolás Pablo Rafael Renato Santiago Sebastián Simón
    Tomás Vicente Máximo Íñigo
""")
WOMEN = words("""
    Alejandra Ana Andrea Bárbara Carolina Cecilia Claudia Daniela Elizabeth Eugenia Gabriela Gloria Jacqueline
    Karina Lorena Marcela María Maribel Mónica Natalia Pamela Paola Patricia Paulina Rosa Sandra Soledad Ximena
    Yasna Verónica Begoña
""")
MEN = words("""
    Alberto Alejandro Andrés Arturo Carlos Claudio Cristián Danilo Eduardo Enrique Fernando Francisco Germán Gonzalo
    Héctor Hernán Hugo Jaime Jorge Juan Leonardo Luis Marcelo Mauricio Miguel Óscar Patricio Pedro Raúl Ramón René
    Rodrigo Sergio Víctor
""")
SURNAMES = words("""
    Acevedo Aguilera Alarcón Araya Ávila Bravo Bustos Cáceres Cárdenas Carrasco Castillo Catrileo Cifuentes
    Contreras Cortés Díaz Donoso Espinoza Farías Figueroa Fuentes Gallardo Garrido González Guzmán Henríquez Herrera
    Huenchumán Ibáñez Jara Jiménez Lagos Leiva Llanquileo Lorca Maldonado Mardones Marín Medina Millán Molina
    Morales Muñoz Navarrete Núñez Olivares Orellana Ortiz Oyarzún Pacheco Painemal Parra Peña Pino Pizarro Poblete
    Quezada Quintana Ramírez Reyes Riquelme Rojas Saavedra Salazar Salinas Sanhueza Sepúlveda Silva Soto Tapia
    Toledo Toro Ulloa Urrutia Valdés Valenzuela Vargas Vásquez Vega Venegas Vera Vergara Villagrán Yáñez Zamorano
    Zúñiga
""")

# How people type a Chilean mobile number; weights are a guess of what a school's office finds in its records.
TYPED_AS = (
    ("9 {a} {b}", 4),
    ("9{a}{b}", 4),
    ("+56 9 {a} {b}", 3),
    ("+569{a}{b}", 2),
    ("+56 9 {a}-{b}", 2),
    ("569{a}{b}", 1),
    ("(9) {a} {b}", 1),
)
UNUSABLE = ("12345", "no tiene", "9 5555 12", "-", "sin celular")
FOREIGN = (
    "+54 9 11 5555-01{n:02}",
    "+51 955 550 1{n:02}",
    "+58 412-555-01{n:02}",
    "+34 655 550 1{n:02}",
    "+1 212 555 01{n:02}",
    "+1 809-555-01{n:02}",
    "+1 829 555 01{n:02}",
    "+1 (849) 555-01{n:02}",
)

FILES = {
    "orgs.csv": words("sourcedId status dateLastModified name type identifier parentSourcedId"),
    "academicSessions.csv": words(
        "sourcedId status dateLastModified title type startDate endDate parentSourcedId schoolYear"
    ),
    "courses.csv": words(
        "sourcedId status dateLastModified schoolYearSourcedId title courseCode grades orgSourcedId subjects "
        "subjectCodes"
    ),
    "classes.csv": words(
        "sourcedId status dateLastModified title grades courseSourcedId classCode classType location schoolSourcedId "
        "termSourcedIds subjects subjectCodes periods"
    ),
    "users.csv": words(
        "sourcedId status dateLastModified enabledUser orgSourcedIds role username userIds givenName familyName "
        "middleName identifier email sms phone agentSourcedIds grades password"
    ),
    "enrollments.csv": words(
        "sourcedId status dateLastModified classSourcedId schoolSourcedId userSourcedId role primary beginDate endDate"
    ),
    "manifest.csv": words("propertyName value"),
}

type Row = dict[str, str]


@dataclass
class Person:
    """One row of users.csv while it is being made."""

    id: str
    role: str
    given_name: str
    family_name: str
    sms: str = ""
    phone: str = ""
    grades: str = ""
    agents: list[str] = field(default_factory=list)


class School:
    """The people and enrolments made so far; `chance` is the only source of randomness."""

    def __init__(self) -> None:
        self.chance = random.Random(SEED)  # noqa: S311  # the same school each time is the point
        self.people: list[Person] = []
        self.enrollments: list[Row] = []
        self.opt_outs: list[Row] = []
        self._numbers = self.chance.sample(range(1000, 10000), 900)
        self._foreign = 0

    def add_person(
        self, kind: str, role: str, given_name: str, family_name: str, *, sms: str = "", grades: str = ""
    ) -> Person:
        """Ids count per kind: student-001, guardian-001, staff-01."""
        count = sum(one.id.startswith(f"{kind}-") for one in self.people) + 1
        person = Person(
            f"{kind}-{count:0{2 if kind == 'staff' else 3}}", role, given_name, family_name, sms, grades=grades
        )
        self.people.append(person)
        return person

    def link(self, student: Person, guardians: Iterable[Person]) -> None:
        """Both ways, as some exports do and others expect."""
        for guardian in guardians:
            student.agents.append(guardian.id)
            guardian.agents.append(student.id)

    def enroll(self, person: Person, class_id: str, role: str, primary: bool) -> None:
        self.enrollments.append(
            {
                "sourcedId": f"enr-{len(self.enrollments) + 1:04}",
                "classSourcedId": class_id,
                "schoolSourcedId": SCHOOL_ID,
                "userSourcedId": person.id,
                "role": role,
                "primary": "true" if primary else "false",
                "beginDate": "2026-03-04",
                "endDate": "2026-12-18",
            }
        )

    def opt_out(self, person: Person, reason: str) -> None:
        self.opt_outs.append({"sourcedId": person.id, "reason": reason})

    def mobile(self) -> str:
        """A Chilean number nobody has yet, as somebody would type it."""
        digits = f"5555{self._numbers.pop():04}"
        shape = self.chance.choices([one for one, _ in TYPED_AS], [weight for _, weight in TYPED_AS])[0]
        return shape.format(a=digits[:4], b=digits[4:])

    def foreign(self) -> str:
        self._foreign += 1
        return FOREIGN[self._foreign % len(FOREIGN)].format(n=self._foreign)

    def number_of_anybody(self) -> str:
        """Mostly a mobile; some people have none, an unusable one, or one of another country."""
        kind = self.chance.choices(["mobile", "none", "unusable", "foreign"], [86, 6, 3, 5])[0]
        if kind == "none":
            return ""
        if kind == "unusable":
            return self.chance.choice(UNUSABLE)
        return self.foreign() if kind == "foreign" else self.mobile()

    def surnames(self) -> str:
        return " ".join(self.chance.sample(SURNAMES, 2))


def make_school() -> School:
    """Builds everything in a fixed order, so that one seed gives one school."""
    school = School()
    add_staff(school)
    add_special_course(school)
    places = [course for course in COURSES if course[0] != SPECIAL_COURSE for _ in range(course[3])]
    # One place of these two is taken already, by siblings of 7° Básico B.
    for taken in ("course-3a", "course-5a"):
        places.remove(next(course for course in places if course[0] == taken))
    school.chance.shuffle(places)
    while places:
        add_family(school, places)
    return school


def add_staff(school: School) -> None:
    """35 people: one director, administrators, a teacher for each course, subject teachers, aides."""
    chance = school.chance
    roles = ["administrator"] * 4 + ["teacher"] * 22 + ["aide"] * 9
    teachers: list[Person] = []
    aides: list[Person] = []
    for position, role in enumerate(roles):
        given = chance.choice(WOMEN if position % 3 else MEN)
        person = school.add_person("staff", role, given, school.surnames(), sms=school.mobile())
        {"teacher": teachers, "aide": aides}.get(role, []).append(person)
    teachers[7].sms, aides[3].sms = "", "no tiene"
    for (class_id, _, _, _), teacher in zip(COURSES, teachers, strict=False):
        school.enroll(teacher, class_id, "teacher", primary=True)
    for teacher in teachers[len(COURSES) :]:  # subject teachers: several courses each
        for class_id, _, _, _ in sorted(chance.sample(COURSES[2:], 4), key=COURSES.index):
            school.enroll(teacher, class_id, "teacher", primary=False)
    for (class_id, _, _, _), aide in zip(COURSES, aides, strict=False):
        school.enroll(aide, class_id, "aide", primary=False)
    for (class_id, _, _), teacher in zip(WORKSHOPS, teachers[-2:], strict=True):
        school.enroll(teacher, class_id, "teacher", primary=True)
    school.opt_out(teachers[-1], "Prefiere el centro de mensajes")


def add_special_course(school: School) -> None:
    """7° Básico B: written out, so that the guide and the tests can name who is there."""

    def guardian(given_name: str, family_name: str, number: str) -> Person:
        return school.add_person("guardian", "guardian", given_name, family_name, sms=number)

    rosa = guardian("Rosa", "Catrileo Muñoz", "9 5555 0101")
    school.opt_out(rosa, "Pidió no recibir SMS en la reunión de apoderados")
    marcela = guardian("Marcela", "Núñez Peña", "")
    hugo = guardian("Hugo", "Ibáñez Soto", "12345")
    lorena = guardian("Lorena", "Yáñez Díaz", "no tiene")
    silvina = guardian("Silvina", "Gutiérrez Roldán", "+54 9 11 5555-0100")
    yokasta = guardian("Yokasta", "Peralta Báez", "+1 809-555-0100")
    paola = guardian("Paola", "Sepúlveda Cáceres", "+56 9 5555-0102")  # her other child is in 3° Básico A
    andrea = guardian("Andrea", "Riquelme Zúñiga", "56955550103")  # a couple with one handset
    jorge = guardian("Jorge", "Oyarzún Vera", "955550103")
    begona = guardian("Begoña", "Huenchumán Llanquileo", "+56 9 5555 0104")  # both her children are in this school too
    claudio = guardian("Claudio", "Painemal Toro", "9 5555 0105")
    families: tuple[tuple[str, str, Sequence[Person], str], ...] = (
        ("Lautaro", "Soto Catrileo", [rosa], SPECIAL_COURSE),
        ("Sofía", "Araya Núñez", [marcela], SPECIAL_COURSE),
        ("Vicente", "Ibáñez Leiva", [hugo], SPECIAL_COURSE),
        ("Ignacia", "Morales Yáñez", [lorena], SPECIAL_COURSE),
        ("Facundo", "Ferreyra Gutiérrez", [silvina], SPECIAL_COURSE),
        ("Emilia", "Rojas Peralta", [yokasta], SPECIAL_COURSE),
        ("Joaquín", "Lagos Sepúlveda", [paola], SPECIAL_COURSE),
        ("Antonia", "Lagos Sepúlveda", [paola], "course-3a"),
        ("Benjamín", "Oyarzún Riquelme", [andrea, jorge], SPECIAL_COURSE),
        ("Millaray", "Painemal Huenchumán", [begona, claudio], SPECIAL_COURSE),
        ("Nahuel", "Painemal Huenchumán", [begona, claudio], "course-5a"),
    )
    grade_of = {class_id: grade for class_id, _, grade, _ in COURSES}
    for given, family, guardians, class_id in families:
        student = school.add_person("student", "student", given, family, grades=grade_of[class_id])
        school.link(student, guardians)
        school.enroll(student, class_id, "student", primary=True)
    here = sum(class_id == SPECIAL_COURSE for *_, class_id in families)
    size = next(count for class_id, _, _, count in COURSES if class_id == SPECIAL_COURSE)
    places = [course for course in COURSES if course[0] == SPECIAL_COURSE] * (size - here)
    while places:
        add_family(school, places, siblings_max=1)


def add_family(school: School, places: list[tuple[str, str, str, int]], siblings_max: int = 3) -> None:
    """One household: one or two guardians, one to three children who take the last free places."""
    chance = school.chance
    mother_name, father_name = chance.sample(SURNAMES, 2)
    second = chance.sample(SURNAMES, 2)
    mother = (chance.choice(WOMEN), f"{mother_name} {second[0]}")
    father = (chance.choice(MEN), f"{father_name} {second[1]}")
    guardians: list[Person] = []
    which = chance.choices([(mother,), (father,), (mother, father)], [3, 1, 5])[0]
    shared = school.number_of_anybody() if chance.random() < 0.06 else None
    for given, family in which:
        number = school.number_of_anybody() if shared is None else shared
        guardian = school.add_person("guardian", "guardian", given, family, sms=number)
        if chance.random() < 0.1:  # some exports fill only `phone`
            guardian.sms, guardian.phone = "", number
        guardians.append(guardian)
    for _ in range(min(len(places), siblings_max, chance.choices([1, 2, 3], [70, 25, 5])[0])):
        class_id, _, grade, _ = places.pop()
        given = chance.choice(GIRLS if chance.random() < 0.5 else BOYS)
        student = school.add_person("student", "student", given, f"{father_name} {mother_name}", grades=grade)
        if grade in GRADES_WITH_OWN_NUMBER:
            student.sms = school.number_of_anybody()
            if student.sms and chance.random() < 0.03:
                school.opt_out(student, "Lo pidió al actualizar sus datos")
        school.link(student, guardians)
        school.enroll(student, class_id, "student", primary=True)
        if grade in {"07", "08"} and chance.random() < 0.15:
            school.enroll(student, WORKSHOPS[0][0], "student", primary=False)
    if any(one.sms for one in guardians) and chance.random() < 0.015:
        school.opt_out(next(one for one in guardians if one.sms), "Solicitud en secretaría")


def user_row(person: Person) -> Row:
    plain = unicodedata.normalize("NFD", f"{person.given_name}.{person.family_name.split()[0]}".lower())
    letters = "".join(letter for letter in plain if letter.isascii() and (letter.isalnum() or letter == "."))
    return {
        "sourcedId": person.id,
        "enabledUser": "true",
        "orgSourcedIds": SCHOOL_ID,
        "role": person.role,
        "username": f"{letters}.{person.id.split('-')[1]}",
        "givenName": person.given_name,
        "familyName": person.family_name,
        "sms": person.sms,
        "phone": person.phone,
        "agentSourcedIds": ",".join(person.agents),
        "grades": person.grades,
    }


def session_row(session_id: str, title: str, kind: str, start: str, end: str) -> Row:
    parent = "" if kind == "schoolYear" else "year-2026"
    return {
        "sourcedId": session_id,
        "title": title,
        "type": kind,
        "startDate": start,
        "endDate": end,
        "parentSourcedId": parent,
        "schoolYear": "2026",
    }


def class_rows() -> tuple[list[Row], list[Row]]:
    """courses.csv and classes.csv: a OneRoster course is what is taught, a class is who sits together."""
    every = [(class_id, title, grade, "homeroom") for class_id, title, grade, _ in COURSES]
    every += [(class_id, title, grades, "scheduled") for class_id, title, grades in WORKSHOPS]
    courses = [
        {
            "sourcedId": f"plan-{class_id}",
            "schoolYearSourcedId": "year-2026",
            "title": title,
            "courseCode": class_id.partition("-")[2].upper(),
            "grades": grades,
            "orgSourcedId": SCHOOL_ID,
        }
        for class_id, title, grades, _ in every
    ]
    classes = [
        {
            "sourcedId": class_id,
            "title": title,
            "grades": grades,
            "courseSourcedId": f"plan-{class_id}",
            "classCode": class_id.partition("-")[2].upper(),
            "classType": kind,
            "location": f"Sala {position + 1}",
            "schoolSourcedId": SCHOOL_ID,
            "termSourcedIds": "term-2026-1,term-2026-2",
        }
        for position, (class_id, title, grades, kind) in enumerate(every)
    ]
    return courses, classes


def manifest_rows() -> list[Row]:
    absent = words("categories classResources courseResources demographics lineItems resources results")
    present = [name.removesuffix(".csv") for name in FILES if name != "manifest.csv"]
    properties = {"manifest.version": "1.0", "oneroster.version": "1.1"}
    properties |= {f"file.{name}": "absent" if name in absent else "bulk" for name in sorted(absent + present)}
    properties |= {"source.systemName": SCHOOL_NAME, "source.systemCode": SCHOOL_ID}
    return [{"propertyName": name, "value": value} for name, value in properties.items()]


def as_csv(columns: Sequence[str], rows: Iterable[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def demo_files() -> dict[str, bytes]:
    """Every file by its path under local/demo/."""
    school = make_school()
    courses, classes = class_rows()
    rows = {
        "orgs.csv": [{"sourcedId": SCHOOL_ID, "name": SCHOOL_NAME, "type": "school", "identifier": "RBD-00000"}],
        "academicSessions.csv": [
            session_row("year-2026", "Año escolar 2026", "schoolYear", "2026-03-04", "2026-12-18"),
            session_row("term-2026-1", "Primer semestre", "semester", "2026-03-04", "2026-07-03"),
            session_row("term-2026-2", "Segundo semestre", "semester", "2026-07-20", "2026-12-18"),
        ],
        "courses.csv": courses,
        "classes.csv": classes,
        "users.csv": [user_row(person) for person in school.people],
        "enrollments.csv": school.enrollments,
        "manifest.csv": manifest_rows(),
    }
    made = {f"oneroster/{name}": as_csv(columns, rows[name]) for name, columns in FILES.items()}
    return made | {"opt_outs.csv": as_csv(["sourcedId", "reason"], school.opt_outs)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the demo school's files again.")
    parser.add_argument("--to", type=Path, default=DEMO, help="folder to write into (default: local/demo)")
    folder = parser.parse_args().to
    for path, content in demo_files().items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        print(f"{target}: {content.count(b'\n') - 1} rows")


if __name__ == "__main__":
    main()
