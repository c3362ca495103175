"""Phone numbers as people type them, read into E.164, and which zone pays for one (L11, L12, L13).

Sources: ITU-T E.164 (at most 15 digits); numbering plans from Google's libphonenumber.
Must never refuse a number for its range being unallocated (L12: well-formed is enough), nor raise on any text.
"""

import re
import unicodedata
from dataclasses import dataclass

import phonenumbers

from recado.rules.credit_bags import Zone

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
TEL_URI = re.compile(r"\s*tel:([^;]*)", re.IGNORECASE)  # RFC 3966; its parameters are not digits to dial
NUMBER_AS_DECIMAL = re.compile(r"(\+?[0-9]+)[.,]0+")  # what a spreadsheet makes of a column of numbers
DIALLED_ABROAD = re.compile(r"[^0-9]*00")
TRUNK_ZERO = "(0)"


@dataclass(frozen=True, slots=True)
class Number:
    e164: str
    region: str  # ISO 3166-1 alpha-2


def read_number(raw: str, country: str) -> Number | None:
    """The number a person or a spreadsheet meant, at home in `country` (ISO 3166-1 alpha-2); None when unusable.

    Read: spaces, dashes, brackets, `tel:`, a leading 00, full-width digits, the country's own code without its plus,
    a trunk zero. Not read: letters, two numbers in one field, extensions, and foreign numbers without + or 00.
    """
    text = _plain(raw)
    if text is None:
        return None
    for candidate in (text, text.replace(TRUNK_ZERO, ""), text.lstrip(" (").lstrip("0")):
        number = _well_formed(candidate, country)
        if number is not None:
            return number
    return None


def is_e164(text: str) -> bool:
    """Whether the text is written as E.164: a plus and 7 to 15 ASCII digits, nothing else."""
    return E164.fullmatch(text) is not None


def zone_of(e164: str, country: str) -> Zone:
    """Whether a number is at home for a school of this country. Where countries share a code, as +1, by area code."""
    return Zone.DOMESTIC if country_of(e164) == country else Zone.INTERNATIONAL


def country_of(e164: str) -> str | None:
    """The number's own country, ISO 3166-1 alpha-2; by area code where countries share theirs. None for no number."""
    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return None
    code = number.country_code or 0
    return phonenumbers.region_code_for_number(number) or phonenumbers.region_code_for_country_code(code)


def _plain(raw: str) -> str | None:
    text = unicodedata.normalize("NFKC", raw)  # full-width digits and plus, no-break spaces
    text = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")  # marks copied from contacts
    uri = TEL_URI.fullmatch(text.partition(";")[0])
    text = (uri[1] if uri else text).strip()
    if any(letter.isalpha() for letter in text):  # 1-800-FLOWERS, a name, an exponent: guessing digits costs credits
        return None
    decimal = NUMBER_AS_DECIMAL.fullmatch(text)
    text = decimal[1] if decimal else text
    return DIALLED_ABROAD.sub("+", text, count=1) if DIALLED_ABROAD.match(text) else text


def _well_formed(text: str, country: str) -> Number | None:
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    region = phonenumbers.region_code_for_number(number)
    plan = phonenumbers.PhoneMetadata.metadata_for_region(region) if region else None
    if number.extension or region is None or plan is None or not phonenumbers.is_possible_number(number):
        return None
    # Not `is_valid_number`: it refuses +56 9 1234 5678 because no operator was given that range yet.
    national = phonenumbers.national_significant_number(number)
    if plan.general_desc is None or not re.fullmatch(plan.general_desc.national_number_pattern or "", national):
        return None
    return Number(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), region)
