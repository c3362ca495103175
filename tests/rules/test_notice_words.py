"""What recado itself says to handsets: short, and in the alphabet that every handset has."""

import pytest

from recado.rules import notice_words
from recado.rules.opt_out_words import read_word
from recado.rules.segments import measure


@pytest.mark.parametrize("language", notice_words.LATE_REPLY)
def test_a_notice_is_one_gsm_7_segment_and_no_opt_out_word(language: str) -> None:
    text = notice_words.LATE_REPLY[language]

    size = measure(text)

    assert (size.encoding, size.segments) == ("GSM-7", 1)
    assert len(text) <= 160
    assert read_word(text) is None


def test_off_is_no_language() -> None:
    assert notice_words.OFF not in notice_words.LATE_REPLY
