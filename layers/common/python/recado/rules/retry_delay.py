"""How long to wait before trying the same thing again.

Must never exceed 900 seconds, the longest delay SQS takes. Randomness is the caller's, so a test can fix it.
"""

SHORTEST_SECONDS = 5
LONGEST_SECONDS = 900


def delay_seconds(attempt: int, jitter: float) -> int:
    """Whole seconds before the next try, after `attempt` (1, 2, …) failed ones; `jitter` in [0, 1).

    Doubles from 5 s; jitter spreads it over up to twice that, so those that failed together do not return together.
    """
    if attempt < 1 or not 0 <= jitter < 1:
        raise ValueError("attempts count from 1, jitter is in [0, 1)")
    doublings = min(attempt - 1, LONGEST_SECONDS.bit_length())  # enough to pass the longest; 2 ** 10,000 is not needed
    shortest = min(SHORTEST_SECONDS << doublings, LONGEST_SECONDS // 2)
    return shortest + int(shortest * jitter)
