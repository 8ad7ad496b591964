"""What a name looks like, so that nobody passes for another by letters of another alphabet.

A part of Unicode's table of confusables (UTS 39): the letters and digits that can hardly be told apart
in the usual fonts. It is no fence against every likeness, such as ``rn`` and ``m``.
"""

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


def skeleton(name: str) -> str:
    """What a name looks like; names that look the same have the same."""
    bare = "".join(c for c in unicodedata.normalize("NFD", name.translate(_LATIN)) if c != "\u0307")
    return bare.translate(_LATIN)
