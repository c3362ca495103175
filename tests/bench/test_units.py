"""Units of DynamoDB as its developer guide counts them: the bench's figures hang from these."""

from typing import Any

from bench.units import Index, index_write_units, query_units, read_units, size_of, write_units

KEYS = ("pk", "sk")
ATTENTION = Index(keys=frozenset({"shard", "attend_at"}), projected=frozenset())


def row(**attributes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {"pk": {"S": "a"}, "sk": {"S": "b"}, **attributes}


def of_size(size: int) -> dict[str, dict[str, Any]]:
    return row(text={"S": "x" * (size - size_of(row(text={"S": ""})))})


def test_an_items_size_is_its_names_and_values_in_bytes_of_utf_8() -> None:
    assert size_of({"name": {"S": "Ñuñoa"}}) == 4 + 7
    assert size_of({"n": {"N": "1234"}}) == 1 + 3
    assert size_of({"n": {"N": "-1234"}}) == 1 + 4
    assert size_of({"is": {"BOOL": True}}) == 2 + 1
    assert size_of({"s": {"SS": ["ab", "c"]}}) == 1 + 3
    assert size_of({"l": {"L": [{"S": "ab"}]}}) == 1 + 3 + 1 + 2
    assert size_of({"m": {"M": {"k": {"S": "v"}}}}) == 1 + 3 + 1 + 1 + 1


def test_a_write_is_billed_for_the_larger_of_before_and_after_in_whole_kilobytes() -> None:
    assert write_units(None, of_size(1024)) == 1
    assert write_units(None, of_size(1025)) == 2
    assert write_units(of_size(3000), of_size(10 + 13)) == 3
    assert write_units(None, None) == 1


def test_a_transaction_costs_twice() -> None:
    assert write_units(None, of_size(1025), in_transaction=True) == 4
    assert read_units([4096], is_consistent=True, in_transaction=True) == 2


def test_an_eventually_consistent_read_costs_half_and_a_missing_item_the_least() -> None:
    assert read_units([4097, 100], is_consistent=True) == 3
    assert read_units([4097, 100], is_consistent=False) == 1.5
    assert read_units([0], is_consistent=True) == 1


def test_a_query_is_billed_for_all_it_read_together() -> None:
    assert query_units([1000] * 8, is_consistent=True) == 2
    assert read_units([1000] * 8, is_consistent=True) == 8


def test_an_index_is_written_only_when_its_entry_changes() -> None:
    waiting = row(shard={"N": "1"}, attend_at={"S": "10:00"}, state={"S": "sending"})
    later = {**waiting, "attend_at": {"S": "10:01"}}
    told = {**waiting, "state": {"S": "sent"}}
    done = row(state={"S": "sent"})

    assert index_write_units(ATTENTION, KEYS, None, waiting) == 1
    assert index_write_units(ATTENTION, KEYS, waiting, told) == 0
    assert index_write_units(ATTENTION, KEYS, waiting, later) == 2
    assert index_write_units(ATTENTION, KEYS, waiting, done) == 1
    assert index_write_units(ATTENTION, KEYS, done, done) == 0
