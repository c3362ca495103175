"""Which carriers were asked to take which texts of a page, and so whose receipts about them are believed.

A carrier is believed of a text that it was asked to take and has not refused. Kept with the page's state as
{carrier: "0-19,24"}, indices in a few characters. It must never leave out a carrier that may have taken a text.
"""

from collections.abc import Iterable, Iterator, Mapping

type Asked = Mapping[str, str]

NOBODY: Asked = {}


def ask(asked: Asked, carrier: str, indices: Iterable[int]) -> Asked:
    """With these texts given to this carrier; written with the claim, before anybody speaks."""
    return {**asked, carrier: write_ranges({*read_ranges(asked.get(carrier, "")), *indices})}


def take_back(asked: Asked, carrier: str, indices: Iterable[int]) -> Asked:
    """Without the texts that this carrier has not got after all: refused for now, or never started."""
    left = read_ranges(asked.get(carrier, "")) - set(indices)
    others = {name: ranges for name, ranges in asked.items() if name != carrier}
    return {**others, carrier: write_ranges(left)} if left else others


def write_ranges(indices: Iterable[int]) -> str:
    """Indices as "0-19,24"; none of them as the empty text."""
    spans: list[list[int]] = []
    for index in sorted(indices):
        if spans and index == spans[-1][1] + 1:
            spans[-1][1] = index
        else:
            spans.append([index, index])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def read_ranges(ranges: str) -> set[int]:
    """The indices of such a text. Raises ValueError for another text."""
    return {index for first, last in _spans(ranges) for index in range(first, last + 1)}


def is_within(ranges: str, index: int) -> bool:
    """Whether the index is one of those."""
    return any(first <= index <= last for first, last in _spans(ranges))


def _spans(ranges: str) -> Iterator[tuple[int, int]]:
    for span in ranges.split(",") if ranges else ():
        first, _, last = span.partition("-")
        yield int(first), int(last or first)
