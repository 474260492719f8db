"""Passwords that are tried first by whoever guesses, as far as the minimum length lets them in.

Not a list of leaked passwords: words and rows of keys that come back in all such lists, in
Chinese and English use. Digits and marks around a word do not make another password of it.
"""

from itertools import pairwise

_WORDS = """
password passwort passw0rd p@ssw0rd p@ssword administrator administration superadmin adminadmin
rootroot welcome welcomeback letmein letmeinnow changeme changemenow iloveyou sunshine princess
football baseball basketball superman batman dragon monkey master shadow starwars trustno
qwerty qwertyuiop qwertzuiop qwerasdf asdfghjkl asdfgh zxcvbnm zxcvbn asdfzxcv qazwsxedc qazwsx
qweasdzxc 1q2w3e4r5t 1q2w3e4r5t6y q1w2e3r4t5 1qaz2wsx3edc 1qaz2wsx zaq12wsx zaq1xsw2 qaz123wsx
abcd1234 abc123abc a1b2c3d4e5 test testtest testing default guest guestguest
camera camerahub camera-hub camera_hub hikvision dahua uniview surveillance security securitycam
community duty dutystaff operator supervisor auditor resident
woaini woaini1314 woaiwojia woaizhongguo zhongguo nihao nihaoma mima wodemima guanliyuan
xiaoqu shequ jiankong anquan 5201314 1314520 5211314 7758521 7758258 147258369 159357 88888888
66666666 123123 112233 123321 456456 789456 741852963 963852741 0123456789 1234567890 9876543210
"""

_MARKS = "0123456789!@#$%^&*()-_=+.,;:?/~`'\" "
_COMMON = frozenset(_WORDS.split())
_BARE = frozenset(word.strip(_MARKS) for word in _COMMON) - {""}
_LONGEST_REPEAT = 5


def is_common(password: str) -> bool:
    """Say whether `password` is one of the usual ones, a row of neighbours, or a short repeat."""
    folded = password.strip().casefold()
    bare = folded.strip(_MARKS)
    if folded in _COMMON or (bare in _BARE if bare else _only_usual_digits(folded)):
        return True
    return _is_row(folded) or _is_repeat(folded)


def _only_usual_digits(text: str) -> bool:
    digits = "".join(c for c in text if c.isdigit())
    return digits in _COMMON or _is_row(digits) or _is_repeat(digits)


def _is_row(text: str) -> bool:
    """Say whether each character follows the one before, upwards or downwards."""
    steps = {
        (ord(b) - ord(a)) % 10 if (a + b).isdigit() else ord(b) - ord(a) for a, b in pairwise(text)
    }
    return steps in ({1}, {-1}, {9})


def _is_repeat(text: str) -> bool:
    return any(
        text == (text[:size] * len(text))[: len(text)]
        for size in range(1, min(_LONGEST_REPEAT, len(text) // 2) + 1)
    )
