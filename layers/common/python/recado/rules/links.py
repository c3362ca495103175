"""How many links a text holds: what a handset would open when it is touched.

Must never take a full stop without a space for one ("Sr.Pérez", "a las 12.30"): an ending counts only when it is one of
the internet's, and those that are Spanish words only before a path.
"""

import re
import unicodedata

# Without a path only endings that are no words: "dale.me", "ven.es tarde" and "dime.si" are missing spaces.
ENDINGS = (
    "com|net|org|info|biz|edu|gob|gov|mil|io|ly|app|dev|xyz|top|site|online|website|store|shop|club|live|link|click|page"
    "|fun|vip|win|icu|pro|tv|gd|gl|to|cc|cl|us|mx|uk|eu|br|ar|pe|ve|pr|do|ru|cn|ai|gle"
)
LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
REST = r"[^\s,;|<>\"]"  # what goes on after it: two addresses with a comma between them are two
LINK = re.compile(
    rf"""
    https?://{REST}+                                           # said outright
    | \bwww\d?\.{REST}+
    | \b(?:{LABEL}\.){{1,10}}(?:xn--[a-z0-9-]+|[a-z]{{2,24}})(?::\d+)?/[^\s/]   # any ending before a path: bit.ly/x
    | \b\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?::\d+)?/\S                # 192.0.2.1/x
    | (?<![\w@.+-])(?:{LABEL}\.){{1,10}}(?:{ENDINGS})(?![\w@-])          # claro.com.do, but nobody's ana@correo.com
    """,
    re.IGNORECASE | re.VERBOSE,
)
FULL_STOPS = str.maketrans({"。": ".", "｡": ".", "．": ".", "․": "."})  # what browsers take for one (UTS #46 §2.3)


def count_links(text: str) -> int:
    """Links of the web in a text, each place counted; a mail address is none."""
    visible = "".join(sign for sign in text if unicodedata.category(sign) != "Cf")
    return sum(1 for _ in LINK.finditer(unicodedata.normalize("NFKC", visible.translate(FULL_STOPS))))
