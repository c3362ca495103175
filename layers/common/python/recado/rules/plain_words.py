"""What each state, reason, cause and category means, in words that a school's secretary understands. Pure.

Spanish is what schools read, English the rest of the world. Must never say more than is known: "sent" is not "read".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from recado.rules.audience import INBOX_ONLY, SENDABLE, SkipReason
from recado.rules.delivery_states import RecipientState
from recado.rules.message_states import Category, MessageState

DUPLICATE_OF = "duplicate_of"  # another person of the audience has the same number, and one SMS serves both
IN_INBOX = "in_inbox"  # no SMS, but the copy in the message centre


class Language(StrEnum):
    ES = "es"
    EN = "en"


class Charged(StrEnum):
    """Whether it costs credits. `maybe`: they are held, or it depends on whether the carrier had taken the text."""

    YES = "yes"
    NO = "no"
    MAYBE = "maybe"


@dataclass(frozen=True, slots=True)
class Words:
    """One sentence in each language."""

    es: str
    en: str

    def say(self, language: Language) -> str:
        return self.es if language is Language.ES else self.en


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a state or reason means and what the school can do about it.

    `is_final`: nothing more is expected. A carrier's late "delivered" still outranks what a recipient's state says.
    """

    words: Words
    advice: Words
    is_final: bool
    charged: Charged


@dataclass(frozen=True, slots=True)
class CategoryWords:
    """A category's name, and how to send it (L1)."""

    name: Words
    advice: Words


CHARGED: Mapping[Charged, Words] = MappingProxyType(
    {Charged.YES: Words("sí", "yes"), Charged.NO: Words("no", "no"), Charged.MAYBE: Words("depende", "maybe")}
)
IS_FINAL: Mapping[bool, Words] = MappingProxyType({True: Words("sí", "yes"), False: Words("no", "no")})
NOTHING = Words("No hay nada que hacer.", "There is nothing to do.")
WAIT = Words("Espere: el estado se actualiza solo.", "Wait: the state brings itself up to date.")
CHECK_NUMBER = Words(
    "Pida a la persona su número actual y corríjalo en su ficha.",
    "Ask the person for their current number and correct it on their record.",
)
ASK_IN_PERSON = Words(
    "Si es importante, avise por otro medio: el centro de mensajes o una llamada.",
    "If it matters, tell them another way: the message centre or a call.",
)

RECIPIENT_STATES: Mapping[RecipientState, Meaning] = MappingProxyType(
    {
        RecipientState.QUEUED: Meaning(
            Words("El mensaje espera su turno para salir.", "The message is waiting for its turn to go out."),
            WAIT,
            is_final=False,
            charged=Charged.MAYBE,
        ),
        RecipientState.SENDING: Meaning(
            Words(
                "El mensaje se está entregando a la compañía telefónica.",
                "The message is being handed to the phone company.",
            ),
            WAIT,
            is_final=False,
            charged=Charged.MAYBE,
        ),
        RecipientState.SENT: Meaning(
            Words(
                "La compañía telefónica recibió el mensaje; aún no confirma que llegó al teléfono.",
                "The phone company has the message; it has not confirmed yet that it reached the phone.",
            ),
            WAIT,
            is_final=False,
            charged=Charged.YES,
        ),
        RecipientState.DELIVERED: Meaning(
            Words("El mensaje llegó al teléfono.", "The message reached the phone."),
            NOTHING,
            is_final=True,
            charged=Charged.YES,
        ),
        RecipientState.UNREACHABLE: Meaning(
            Words(
                "El teléfono estuvo apagado o fuera de cobertura; el mensaje no llegó.",
                "The phone was switched off or out of coverage; the message did not arrive.",
            ),
            Words(
                "Puede enviar el mensaje otra vez a quienes no lo recibieron.",
                "You can send the message again to those it did not reach.",
            ),
            is_final=True,
            charged=Charged.YES,
        ),
        RecipientState.WRONG_NUMBER: Meaning(
            Words(
                "El número no existe o no está en servicio; el mensaje no llegó.",
                "The number does not exist or is not in service; the message did not arrive.",
            ),
            CHECK_NUMBER,
            is_final=True,
            charged=Charged.YES,
        ),
        RecipientState.BLOCKED: Meaning(
            Words(
                "La compañía telefónica o el teléfono rechaza estos mensajes; no llegó.",
                "The phone company or the phone rejects these messages; it did not arrive.",
            ),
            ASK_IN_PERSON,
            is_final=True,
            charged=Charged.MAYBE,
        ),
        RecipientState.UNKNOWN: Meaning(
            Words(
                "No hay confirmación: el mensaje pudo llegar o no.",
                "There is no confirmation: the message may have arrived or not.",
            ),
            Words(
                "Si es importante, pregunte a la persona si lo recibió antes de enviarlo otra vez.",
                "If it matters, ask the person whether they received it before sending it again.",
            ),
            is_final=False,
            charged=Charged.YES,
        ),
        RecipientState.OPTED_OUT: Meaning(
            Words(
                "La persona pidió no recibir SMS antes de que saliera el mensaje; no se le envió.",
                "The person asked not to receive SMS before the message went out; it was not sent to them.",
            ),
            ASK_IN_PERSON,
            is_final=True,
            charged=Charged.NO,
        ),
        RecipientState.STOPPED: Meaning(
            Words(
                "El envío se detuvo antes de llegar a esta persona; no se le envió.",
                "The sending was stopped before this person's turn; it was not sent to them.",
            ),
            Words(
                "Si todavía hace falta, envíe un mensaje nuevo a quienes no lo recibieron.",
                "If it is still needed, send a new message to those it did not reach.",
            ),
            is_final=True,
            charged=Charged.NO,
        ),
        RecipientState.EXPIRED: Meaning(
            Words(
                "El mensaje no pudo salir a tiempo y ya no se envió.",
                "The message could not go out in time and was not sent any more.",
            ),
            Words("Si todavía es útil, envíelo otra vez.", "If it is still useful, send it again."),
            is_final=True,
            charged=Charged.NO,
        ),
        RecipientState.NOT_SENT: Meaning(
            Words("El mensaje no se envió a esta persona.", "The message was not sent to this person."),
            Words("Si todavía hace falta, envíelo otra vez.", "If it is still needed, send it again."),
            is_final=True,
            charged=Charged.NO,
        ),
        RecipientState.IN_INBOX: Meaning(
            Words(
                "El mensaje está en el centro de mensajes de la persona.",
                "The message is in the person's message centre.",
            ),
            NOTHING,
            is_final=True,
            charged=Charged.NO,
        ),
    }
)

# Why somebody of the audience gets no SMS of their own: by SkipReason, and the two that are no refusals.
SKIP_REASONS: Mapping[str, Meaning] = MappingProxyType(
    {
        SkipReason.NO_NUMBER.value: Meaning(
            Words("La ficha no tiene número de teléfono.", "The record has no phone number."),
            Words(
                "Pida a la persona su número y agréguelo a su ficha.",
                "Ask the person for their number and add it to their record.",
            ),
            is_final=True,
            charged=Charged.NO,
        ),
        SkipReason.UNUSABLE_NUMBER.value: Meaning(
            Words(
                "El número de la ficha está mal escrito y no se puede usar.",
                "The number on the record is not written correctly and cannot be used.",
            ),
            CHECK_NUMBER,
            is_final=True,
            charged=Charged.NO,
        ),
        SkipReason.OPTED_OUT.value: Meaning(
            Words(
                "La persona no recibe SMS: lo pidió ella o está desactivado en su ficha.",
                "The person receives no SMS: they asked for that, or it is switched off on their record.",
            ),
            ASK_IN_PERSON,
            is_final=True,
            charged=Charged.NO,
        ),
        SkipReason.NO_INTERNATIONAL_BAG.value: Meaning(
            Words(
                "El número es de otro país y el colegio no tiene una bolsa internacional.",
                "The number is from another country and the school has no international bag.",
            ),
            Words(
                "Pida una bolsa internacional a su ejecutivo de soporte.",
                "Ask your support contact for an international bag.",
            ),
            is_final=True,
            charged=Charged.NO,
        ),
        DUPLICATE_OF: Meaning(
            Words(
                "Comparte el número con otra persona de la lista: un solo SMS sirve para ambas.",
                "They share the number with somebody else on the list: one SMS serves both.",
            ),
            NOTHING,
            is_final=True,
            charged=Charged.NO,
        ),
        IN_INBOX: Meaning(
            Words(
                "No recibe SMS; el mensaje está en su centro de mensajes.",
                "They receive no SMS; the message is in their message centre.",
            ),
            NOTHING,
            is_final=True,
            charged=Charged.NO,
        ),
    }
)

# What will become of somebody of an estimate's audience who is not skipped.
PLANNED_STATES: Mapping[str, Words] = MappingProxyType(
    {
        SENDABLE: Words("Recibirá el SMS.", "Will receive the SMS."),
        INBOX_ONLY: Words(
            "Recibirá el mensaje en su centro de mensajes, gratis.",
            "Will receive the message in their message centre, free.",
        ),
    }
)

MESSAGE_STATES: Mapping[MessageState, Meaning] = MappingProxyType(
    {
        MessageState.DRAFT: Meaning(
            Words("Es un borrador: no se ha enviado a nadie.", "It is a draft: nobody has been sent it."),
            Words("Envíelo o prográmelo cuando esté listo.", "Send or schedule it when it is ready."),
            is_final=False,
            charged=Charged.NO,
        ),
        MessageState.PLANNING: Meaning(
            Words(
                "Se está preparando: son muchos destinatarios; saldrá o quedará programado cuando esté listo.",
                "It is being prepared: there are many recipients; it goes out or waits for its time once it is ready.",
            ),
            WAIT,
            is_final=False,
            charged=Charged.NO,
        ),
        MessageState.SCHEDULED: Meaning(
            Words(
                "Está programado: saldrá a su hora y sus créditos están reservados.",
                "It is scheduled: it will go out at its time, and its credits are held.",
            ),
            Words(
                "Puede cancelarlo antes de su hora; los créditos vuelven.",
                "You can cancel it before its time; the credits return.",
            ),
            is_final=False,
            charged=Charged.MAYBE,
        ),
        MessageState.SENDING: Meaning(
            Words("Está saliendo.", "It is going out."),
            Words(
                "Puede detenerlo; lo que ya salió se cobra.",
                "You can stop it; what has gone out is charged.",
            ),
            is_final=False,
            charged=Charged.MAYBE,
        ),
        MessageState.STOPPING: Meaning(
            Words("Se está deteniendo: no sale a nadie más.", "It is being stopped: it goes out to nobody else."),
            WAIT,
            is_final=False,
            charged=Charged.MAYBE,
        ),
        MessageState.SENT: Meaning(
            Words(
                "Salió; la entrega a cada persona se ve en la lista de destinatarios.",
                "It has gone out; the list of recipients says whom it reached.",
            ),
            Words(
                "Revise a quiénes no llegó y, si hace falta, envíelo otra vez a ellos.",
                "See whom it did not reach and, if need be, send it again to them.",
            ),
            is_final=True,
            charged=Charged.YES,
        ),
        MessageState.STOPPED: Meaning(
            Words(
                "Se detuvo: salió a una parte; los créditos del resto volvieron.",
                "It was stopped: it went out to some; the credits of the rest came back.",
            ),
            Words(
                "Si hace falta, envíe un mensaje nuevo a quienes no lo recibieron.",
                "If need be, send a new message to those it did not reach.",
            ),
            is_final=True,
            charged=Charged.MAYBE,
        ),
        MessageState.CANCELLED: Meaning(
            Words(
                "Se canceló antes de salir; todos sus créditos volvieron.",
                "It was cancelled before it went out; all its credits came back.",
            ),
            NOTHING,
            is_final=True,
            charged=Charged.NO,
        ),
    }
)

# The first word of an entry's cause in the statement.
LEDGER_CAUSES: Mapping[str, Words] = MappingProxyType(
    {
        "purchase": Words("Compra de una bolsa de créditos.", "A bag of credits was bought."),
        "hold": Words("Créditos reservados para un mensaje.", "Credits held for a message."),
        "close": Words(
            "Cierre de un mensaje: se cobró lo que salió y volvió el resto de la reserva.",
            "A message was settled: what went out was charged, the rest of its hold came back.",
        ),
    }
)

SMS_IS_RIGHT = Words("Es una alerta: el SMS es el medio indicado.", "It is an alert: SMS is the right way.")
AT_ONCE = Words(
    "Es una emergencia: sale por SMS de inmediato, antes que cualquier otro mensaje.",
    "It is an emergency: it goes out by SMS at once, before any other message.",
)

CATEGORIES: Mapping[Category, CategoryWords] = MappingProxyType(
    {
        Category.EMERGENCY: CategoryWords(Words("Emergencia", "Emergency"), AT_ONCE),
        Category.ENVIRONMENTAL_EMERGENCY: CategoryWords(
            Words("Emergencia ambiental", "Environmental emergency"), AT_ONCE
        ),
        Category.CLASSES_CANCELLED: CategoryWords(Words("Suspensión de clases", "Classes cancelled"), SMS_IS_RIGHT),
        Category.MEETING: CategoryWords(
            Words("Reunión de apoderados", "Guardians' meeting"),
            Words(
                "El SMS sirve para convocar; los detalles caben mejor, y gratis, en el centro de mensajes.",
                "SMS is good for calling people in; the details fit better, and free, in the message centre.",
            ),
        ),
        Category.OTHER_ALERT: CategoryWords(
            Words("Otra alerta", "Another alert"),
            Words(
                "Use el SMS solo si es urgente; lo cotidiano va gratis por el centro de mensajes.",
                "Use SMS only if it is urgent; what is everyday goes free through the message centre.",
            ),
        ),
        Category.NOTICE: CategoryWords(
            Words("Aviso cotidiano", "Everyday notice"),
            Words(
                "Envíelo por el centro de mensajes: es gratis. Por SMS gasta créditos y hay que confirmarlo.",
                "Send it through the message centre: it is free. By SMS it costs credits and must be confirmed.",
            ),
        ),
    }
)


def explain_cause(cause: str) -> Words | None:
    """What a movement of credits was, by its cause (`hold#<message>#<plan>`); None for one that has no words."""
    return LEDGER_CAUSES.get(cause.partition("#")[0])
