"""The environment, read once: what is missing or cannot be fails by name."""

import pytest

from recado.settings import MissingSetting, read_settings
from tests.conftest import environment


def test_every_setting_comes_from_the_template() -> None:
    settings = read_settings(environment())

    assert settings.sessions_per_source_and_handset == 1
    assert settings.handset_texts_per_hour_max == 30


def test_what_is_missing_is_named() -> None:
    given = environment()
    del given["LINKS_PER_TEXT_MAX"]

    with pytest.raises(MissingSetting, match="LINKS_PER_TEXT_MAX"):
        read_settings(given)


@pytest.mark.parametrize(
    "cap", ["SOURCE_RECIPIENTS_PER_HOUR_MAX", "SAME_TEXT_RECIPIENTS_PER_HOUR_MAX", "RECIPIENTS_PER_HOUR_MAX"]
)
def test_a_cap_that_no_full_session_could_ever_pass_is_refused_by_name(cap: str) -> None:
    given = environment() | {"SESSION_HANDSETS_MAX": "1000"}
    assert read_settings(given | {cap: "1000"})

    with pytest.raises(ValueError, match=cap):
        read_settings(given | {cap: "999"})
