"""The catalogue of bags, and what an account is short of."""

from recado.rules.credit_bags import CATALOGUE, Zone, find_bag, missing_credits


def test_each_zone_starts_with_its_basic_bag_and_grows_from_there() -> None:  # L7
    for zone in Zone:
        sizes = [bag.credits for bag in CATALOGUE if bag.zone is zone]

        assert len(sizes) >= 2
        assert sizes == sorted(set(sizes))


def test_a_bag_is_called_by_its_zone_and_size() -> None:
    assert all(bag.id == f"{bag.zone}-{bag.credits}" for bag in CATALOGUE)
    assert len({bag.id for bag in CATALOGUE}) == len(CATALOGUE)


def test_a_bag_is_found_by_its_id_only() -> None:
    bag = find_bag("domestic-500")

    assert bag is not None
    assert (bag.zone, bag.credits) == (Zone.DOMESTIC, 500)
    assert find_bag("domestic-501") is None


def test_the_missing_credits_are_counted_per_zone() -> None:
    needed = {Zone.DOMESTIC: 10, Zone.INTERNATIONAL: 3}

    assert missing_credits(needed, {Zone.DOMESTIC: 4, Zone.INTERNATIONAL: 9}) == {Zone.DOMESTIC: 6}
    assert missing_credits(needed, {Zone.DOMESTIC: 9, Zone.INTERNATIONAL: 3}) == {Zone.DOMESTIC: 1}
    assert missing_credits(needed, {Zone.DOMESTIC: 10}) == {Zone.INTERNATIONAL: 3}
    assert missing_credits(needed, {Zone.DOMESTIC: 10, Zone.INTERNATIONAL: 3}) == {}
    assert missing_credits({}, {}) == {}
