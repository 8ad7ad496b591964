"""What a name looks like, so that nobody passes for another by letters of another alphabet.

A part of Unicode's table of confusables (UTS 39): the letters and digits that can hardly be told apart
in the usual fonts. It is no fence against every likeness, such as ``rn`` and ``m``.
"""

import re
import unicodedata

_LATIN = str.maketrans(
    # Cyrillic
    "аеорсухіјѕһԁԛԝѵӏгмкАВЕКМНОРСТУХІЈЅԌԚԜҮ"
    # Greek
    "οανριτκυωγΑΒΕΖΗΙΚΜΝΟΡΤΥΧ"
    # Armenian, Cherokee, and Latin letters of other languages
    "օսոհցԼՕՍᎪᏴᏟᎬᎻᎫᏦᏞᎷᏢᏒᏚᎢᏙᎳᏃıɑɡɩʏ"
    # Digits and the like
    "01I|ǀ",  # noqa: RUF001
    "aeopcyxijshdqwvlrmkABEKMHOPCTYXIJSGQWYoavpitkuwyABEZHIKMNOPTYXounhgLOUABCEHJKLMPRSTVWZiagiyOllll",
)


# Characters that show nothing wherever they are (Unicode's Default_Ignorable_Code_Point), but for the
# formats that are in no name: joiners, fillers, selectors of a variant.
_IGNORED = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200c\u200d\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U000e0000-\U000e0fff]"
)
JOINERS = re.compile("[\u200c\u200d]")
_DOT_ABOVE = "\u0307"


def skeleton(name: str) -> str:
    """What a name looks like; names that look the same have the same."""
    letters = unicodedata.normalize("NFD", _IGNORED.sub("", name).translate(_LATIN))
    return letters.replace(_DOT_ABOVE, "").translate(_LATIN)


def shows(name: str) -> bool:
    r"""Whether there is something to see of a name: more than blanks, marks, and what shows nothing.

    >>> shows("Zo\u00eb"), shows("\u0308"), shows("\ufe0f")
    (True, False, False)
    """
    return any(unicodedata.category(letter)[0] not in "MZC" for letter in _IGNORED.sub("", name))


def joins(name: str) -> bool:
    """Whether each joiner of a name is where its script needs one (RFC 5892, appendix A.1 and A.2)."""
    found = [match.start() for match in JOINERS.finditer(name)]
    if not found:
        return True
    # Hardly any name needs it, and its tables are large.
    from idna.core import valid_contextj

    try:
        return all(valid_contextj(name, at) for at in found)
    except ValueError:
        # A character next to it has no name.
        return False
