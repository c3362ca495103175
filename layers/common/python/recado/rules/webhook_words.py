"""Why a portal did not take an event, in words for whoever looks after it. Pure.

They say what was seen from here and where to look; never more than is known of the portal.
"""

from collections.abc import Mapping
from types import MappingProxyType

from recado.rules.plain_words import Language, Words

TAKEN = Words("El portal lo recibió.", "The portal took it.")
NOT_TAKEN = Words("El portal no lo recibió.", "The portal did not take it.")
ADDRESS = Words(
    "La dirección guardada ya no se acepta: guárdela otra vez.", "The address is not accepted any more: save it again."
)
REASONS: Mapping[str, Words] = MappingProxyType(
    {
        "status": Words(
            "El portal contestó {status}, y no 2xx: mire sus registros de esa hora.",
            "The portal answered {status}, not 2xx: look at its log of that moment.",
        ),
        "redirect": Words(
            "El portal contestó {status}, una redirección: no se sigue. Guarde la dirección a la que lleva.",
            "The portal answered {status}, a redirect: none is followed. Save the address it leads to.",
        ),
        "gone": Words(
            "El portal contestó 410: no quiere más avisos, y se apagaron.",
            "The portal answered 410: it wants no more events, and they were switched off.",
        ),
        "too_many_requests": Words(
            "El portal contestó 429: pidió una pausa, y se respeta.",
            "The portal answered 429: it asked for a pause, and has it.",
        ),
        "timeout": Words(
            "El portal no contestó en 15 segundos: que conteste primero, y trabaje después.",
            "The portal did not answer within 15 seconds: let it answer first, and work later.",
        ),
        "not_connected": Words(
            "Nadie acepta conexiones en esa dirección y ese puerto.",
            "Nobody takes connections at that address and port.",
        ),
        "hung_up": Words(
            "La conexión se cortó antes de la respuesta.", "The connection was closed before there was an answer."
        ),
        "not_http": Words("Lo que contestó no es HTTP.", "What answered does not speak HTTP."),
        "tls": Words(
            "No se pudo cifrar la conexión: el portal no habla TLS 1.2 o posterior en ese puerto.",
            "The connection could not be encrypted: the portal does not speak TLS 1.2 or later on that port.",
        ),
        "certificate": Words(
            "El certificado no vale: es de otro nombre, venció, o nadie conocido lo firmó.",
            "The certificate does not hold: of another name, too old, or signed by nobody known.",
        ),
        "not_resolved": Words("El nombre no tiene ninguna dirección.", "The name has no address."),
        "lookup_timeout": Words("Los servidores del nombre no contestaron.", "The name's servers did not answer."),
        "address_refused": Words(
            "El nombre lleva a una dirección que no es de la internet pública.",
            "The name leads to an address that is not of the public internet.",
        ),
        "event_gone": Words("El suceso ya no se guarda (90 días).", "The event is no longer kept (90 days)."),
    }
)


def say_reason(reason: str, status: int | None, language: Language) -> str:
    """Of an attempt, by its reason (empty: it was taken) and the answer's status."""
    if not reason:
        return TAKEN.say(language)
    words = REASONS.get(reason) or (ADDRESS if reason.startswith("address_") else NOT_TAKEN)
    return words.say(language).format(status=status)
