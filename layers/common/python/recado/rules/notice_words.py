"""What recado itself says to a handset, by language: one GSM-7 segment each, so without á, í, ó and ú.

Must never say whose session it was, nor repeat a word of it.
"""

from collections.abc import Mapping
from types import MappingProxyType

OFF = "off"

# The answer to a message that came after the end (C9).
LATE_REPLY: Mapping[str, str] = MappingProxyType(
    {
        "es": "Este chat ya se encuentra cerrado y nadie pudo leer su mensaje. "
        "Si le escriben de nuevo, le llega desde otro remitente. Aviso gratis: no lo responda.",
        "en": "This chat has ended and nobody could read your message. "
        "If they write again, it will come from another sender. Free notice: please do not answer.",
    }
)
