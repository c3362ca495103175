"""What somebody without an account may write to handsets: text, and not too much of it.

Must never change what the text says: only line ends become one kind, for browsers send them as two characters.
"""

import unicodedata

from recado.errors import FieldProblem, InvalidRequest
from recado.rules.links import count_links
from recado.rules.segments import count_segments

SEGMENTS_MAX = 10
LINE_END = "\n"
UNSEEN = ("Cf",)  # Unicode: format characters, e.g. of no width
NOT_TEXT = ("Cc", "Cs")  # Unicode: control characters, halves of surrogate pairs


def read_text(raw: str, *, links_max: int) -> str:
    """The text as it will be sent. Raises InvalidRequest: empty, control characters, over 10 segments, links."""
    text = raw.replace("\r\n", LINE_END).replace("\r", LINE_END)
    if not "".join(letter for letter in text if unicodedata.category(letter) not in UNSEEN).strip():
        raise _refused("empty", "There is nothing to send")
    if any(unicodedata.category(letter) in NOT_TEXT and letter != LINE_END for letter in text):
        raise _refused("control_characters", "Only text and line ends")
    count = count_segments(text)
    if count > SEGMENTS_MAX:
        raise _refused("too_long", f"{count} segments; a message has at most {SEGMENTS_MAX}")
    links = count_links(text)
    if links > links_max:
        raise _refused("too_many_links", f"{links} links; a message has at most {links_max}")
    return text


def _refused(code: str, detail: str) -> InvalidRequest:
    return InvalidRequest(fields=[FieldProblem("/text", code, detail)])
