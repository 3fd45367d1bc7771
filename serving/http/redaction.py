"""Messages for strangers: without the paths and addresses of this machine and its network."""

import re

HIDDEN = "(hidden)"

#: A word with a slash, an address or a name with dots in it; punctuation around it stays.
_PLACE = re.compile(
    r"""[^\s"'`(;,]*
        (?:[/\\@] | \d+\.\d+\.\d+\.\d+ | [A-Za-z]\.[A-Za-z] | (?<=\w):\d{2,5}\b | \bport=\d)
        [^\s"'`);,]*""",
    re.VERBOSE,
)


def without_places(text: str) -> str:
    """Replace every word that may be a path, an address or a host's name."""
    return _PLACE.sub(HIDDEN, text)
