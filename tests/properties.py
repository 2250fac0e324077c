"""How hypothesis is used here: the same examples every time, no clock, nothing written to disk."""

from hypothesis import HealthCheck, settings


def examples(number: int) -> settings:
    """Settings for a property that is tried `number` times."""
    return settings(
        max_examples=number,
        database=None,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
