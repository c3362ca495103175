"""Many short calls at a time. Each is mostly waiting, so threads are worth it; few are worked one after another."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

FEW = 8  # items that are not worth a thread
AT_ONCE = 16  # half of what the DynamoDB client has connections


def for_each[T, R](work: Callable[[T], R], items: Sequence[T], *, few: int = FEW) -> list[R]:
    """`work` of each item, in order. What one of them raises is raised, when all have been worked."""
    if len(items) <= few:
        return [work(item) for item in items]
    with ThreadPoolExecutor(min(AT_ONCE, len(items))) as pool:
        return list(pool.map(work, items))
