"""A circuit opens on enough evidence, lets one probe through at a time, and closes again."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from recado.rules import circuits
from recado.rules.circuits import (
    ANSWERS_MIN,
    EMERGENCY_PAUSE,
    PAUSE_LEAST,
    PAUSE_MOST,
    PROBE_LEASE,
    PROBES_NEEDED,
    STEP_ANSWERS_MIN,
    STEP_WAVES_MIN,
    WAVES_WITHOUT_GOOD_MAX,
    Circuit,
    CircuitState,
    Evidence,
)

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
counts = st.integers(0, 60)
evidences = st.builds(
    Evidence, accepted=counts, refused=counts, for_now=counts, route=counts, unknown=counts, slow=counts, waves=counts
)
BAD = Evidence(unknown=20, waves=1)
GOOD = Evidence(accepted=5, waves=1)


def opened_at(now: datetime, circuit: Circuit | None = None) -> Circuit:
    found = circuits.opened(circuit or Circuit("a", "CL"), BAD, now)
    assert found is not None
    return found


def after(circuit: Circuit, **step: float) -> datetime:
    assert circuit.since is not None
    return circuit.since + timedelta(**step)


@given(evidences)
def test_it_opens_exactly_when_half_of_enough_answers_are_bad_or_none_of_some_waves_was_good(found: Evidence) -> None:
    is_enough = found.answers >= ANSWERS_MIN and 2 * found.bad >= found.answers
    is_silent = (
        found.answers < ANSWERS_MIN and found.waves >= WAVES_WITHOUT_GOOD_MAX and found.bad > 0 and found.good == 0
    )

    assert (circuits.opened(Circuit("a", "CL"), found, NOON) is not None) is (is_enough or is_silent)


@given(evidences)
def test_a_latest_step_opens_it_however_good_the_minutes_before_were(step: Evidence) -> None:
    before = Evidence(accepted=100_000, waves=5_000)
    is_enough = step.answers >= STEP_ANSWERS_MIN and step.waves >= STEP_WAVES_MIN
    is_bad = is_enough and 2 * step.bad >= step.answers

    assert (circuits.opened(Circuit("a", "CL"), before, NOON, [GOOD, step]) is not None) is is_bad


def test_steps_are_quarters_of_a_minute() -> None:
    moments = [NOON + timedelta(seconds=seconds) for seconds in (0, 14.999, 15, 59.999)]

    assert [circuits.step_of(one).second for one in moments] == [0, 0, 15, 45]


@given(st.integers(0, ANSWERS_MIN - 1), st.integers(1, WAVES_WITHOUT_GOOD_MAX - 1))
def test_a_few_bad_answers_open_nothing(bad: int, waves: int) -> None:
    assert circuits.opened(Circuit("a", "CL"), Evidence(for_now=bad, waves=waves), NOON) is None


@given(counts, counts)
def test_wrong_and_blocked_numbers_are_not_the_carriers_fault(refused: int, accepted: int) -> None:
    assert circuits.opened(Circuit("a", "CL"), Evidence(refused=refused, accepted=accepted, waves=9), NOON) is None


@given(st.lists(st.tuples(st.floats(0, 2000), st.sampled_from(("take", "good", "bad", "nobody", "dies"))), max_size=40))
def test_never_are_two_probes_on_their_way_and_it_stays_open_between_them(acts: list[tuple[float, str]]) -> None:
    circuit, now, probe_until = opened_at(NOON), NOON, None
    for seconds, act in acts:
        now += timedelta(seconds=seconds)
        if circuit.state is CircuitState.CLOSED:
            break
        if probe_until is not None and act in ("good", "bad", "nobody"):
            evidence = {"good": GOOD, "bad": BAD, "nobody": Evidence()}[act]
            before, circuit = circuit, circuits.probed(circuit, evidence, now)
            assert circuit.version == before.version + 1
            probe_until = None
        elif act == "take" and circuits.may_probe(circuit, now):
            assert probe_until is None or now >= probe_until  # the one before is dead by contract
            circuit = circuits.probing(circuit, "w1", now)
            probe_until = now + PROBE_LEASE
            assert not circuits.may_probe(circuit, now + PROBE_LEASE - timedelta(seconds=1), is_emergency=True)
        assert circuit.next_probe_at is None or circuit.next_probe_at - now <= PAUSE_MOST


def test_it_closes_after_enough_good_probes_into_a_new_era() -> None:
    circuit = opened_at(NOON)
    for number in range(PROBES_NEEDED):
        assert circuits.may_probe(circuit, after(circuit, minutes=number + 1))
        circuit = circuits.probed(circuits.probing(circuit, "w", after(circuit, minutes=1)), GOOD, NOON)

    assert circuit.state is CircuitState.CLOSED
    assert circuit.era == circuit.version > 0
    assert circuit.decided_on == GOOD.as_counts()


def test_a_bad_probe_opens_it_for_longer_up_to_ten_minutes() -> None:
    circuit, pauses = opened_at(NOON), []
    for _ in range(8):
        assert circuit.next_probe_at is not None
        pauses.append(circuit.next_probe_at - after(circuit))
        probe = circuits.probing(circuit, "w", circuit.next_probe_at)
        circuit = circuits.probed(probe, Evidence(for_now=3, accepted=2, waves=1), circuit.next_probe_at)

    assert pauses[:4] == [PAUSE_LEAST * 2**doubled for doubled in range(4)]
    assert pauses[-1] == PAUSE_MOST


def test_one_that_opens_again_soon_is_left_alone_for_longer_and_after_a_quiet_while_not() -> None:
    first = opened_at(NOON)
    closed = circuits.probed(circuits.probed(circuits.probing(first, "w", NOON), GOOD, NOON), GOOD, NOON)
    assert closed.state is CircuitState.CLOSED

    soon = opened_at(NOON + timedelta(minutes=3), closed)
    later = opened_at(NOON + timedelta(minutes=15), closed)

    assert (soon.openings, later.openings) == (2, 1)


def test_an_emergency_tries_sooner() -> None:
    circuit = opened_at(NOON)

    assert not circuits.may_probe(circuit, NOON + EMERGENCY_PAUSE)
    assert circuits.may_probe(circuit, NOON + EMERGENCY_PAUSE, is_emergency=True)


def test_nobody_tries_what_is_held_by_hand() -> None:
    held = circuits.held(opened_at(NOON), "soporte", "mantenimiento", NOON)
    let_go = circuits.let_go(held, "soporte", "terminó", NOON + timedelta(hours=5), is_whole_carrier=False)

    assert not circuits.may_probe(held, NOON + timedelta(days=9), is_emergency=True)
    assert circuits.may_probe(let_go, NOON + timedelta(hours=5))


@given(
    st.lists(st.one_of(st.none(), st.floats(-900, 4000)), max_size=4),
    st.floats(0, 0.999),
    st.booleans(),
    st.floats(0, 90_000),
)
def test_whoever_waits_waits_a_bounded_while(
    moments: list[float | None], jitter: float, is_emergency: bool, life: float
) -> None:
    found = circuits.wait_until(
        [None if one is None else NOON + timedelta(seconds=one) for one in moments],
        NOON,
        jitter,
        is_emergency=is_emergency,
        give_up_at=NOON + timedelta(seconds=life),
    )

    assert NOON + timedelta(seconds=1) <= found <= max(NOON + timedelta(seconds=1), NOON + timedelta(seconds=life))
    assert found - NOON <= timedelta(seconds=900)


def test_an_outage_after_busy_minutes_is_seen_at_once_also_where_nobody_stands_by() -> None:
    minutes = Evidence(accepted=10_000, unknown=60, waves=503)
    step = Evidence(unknown=60, waves=3)

    for stands_alone in (False, True):
        found = circuits.opened(Circuit("sns", "CL"), minutes, NOON, [step], stands_alone=stands_alone)
        assert found is not None, stands_alone
