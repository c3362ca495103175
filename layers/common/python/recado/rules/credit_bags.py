"""Credits are bought in bags, for numbers at home or abroad (L5, L7, L13).

A credit pays one segment. Must never name a price (support agrees it) nor an expiry (L5: there is none).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Zone(StrEnum):
    """Which account pays for a number: each zone has its own bags."""

    DOMESTIC = "domestic"
    INTERNATIONAL = "international"


@dataclass(frozen=True, slots=True)
class Bag:
    id: str
    zone: Zone
    credits: int
    name: str  # for people to read, so in Spanish
    advice: str


# L7: the basic bag of each zone comes first, larger ones after it.
CATALOGUE: tuple[Bag, ...] = (
    Bag("domestic-500", Zone.DOMESTIC, 500, "Bolsa básica", "Para comenzar: sus primeros envíos."),
    Bag("domestic-2000", Zone.DOMESTIC, 2_000, "Bolsa mediana", "Para las alertas de un año en un colegio pequeño."),
    Bag("domestic-10000", Zone.DOMESTIC, 10_000, "Bolsa grande", "Para un colegio con varios niveles."),
    Bag("domestic-50000", Zone.DOMESTIC, 50_000, "Bolsa red", "Para una red de colegios."),
    Bag(
        "international-100",
        Zone.INTERNATIONAL,
        100,
        "Bolsa internacional básica",
        "Para comenzar con números de otros países. Pídala a su ejecutivo de soporte.",
    ),
    Bag(
        "international-1000",
        Zone.INTERNATIONAL,
        1_000,
        "Bolsa internacional grande",
        "Para muchas familias con números de otros países. Pídala a su ejecutivo de soporte.",
    ),
)


def find_bag(bag_id: str) -> Bag | None:
    """The bag of the catalogue with this id, if there is one."""
    return next((bag for bag in CATALOGUE if bag.id == bag_id), None)


def missing_credits(needed: Mapping[Zone, int], available: Mapping[Zone, int]) -> dict[Zone, int]:
    """How many credits each zone is short of; zones that reach are left out, a zone without an account has none."""
    short = {zone: count - available.get(zone, 0) for zone, count in needed.items()}
    return {zone: count for zone, count in short.items() if count > 0}
