"""Passwords that nobody may choose, because attackers try them first.

The list is short on purpose. Rate limits leave an attacker a few attempts an hour, and the list makes these fail. It
does not measure the strength of a password.
"""

from typing import Final

MIN_DIGITS: Final = 7
"""So many last digits of the person's number count as the number: it is often written without country and area code."""

_WORDS: Final = """
    000000 0000000 00000000 0123456789 010203 100200 101010 102030 111111 1111111 11111111 111222 112233 11223344
    121212 12121212 123123 123123123 123321 1234qwer 123456 1234567 12345678 123456789 1234567890 123456a 123456q
    123654 123abc 123qwe 12qwaszx 131313 147258 147258369 159357 159753 18atcskd2w 1q2w3e 1q2w3e4r 1q2w3e4r5t 1qaz2wsx
    1qazxsw2 20202020 212121 222222 232323 246810 252525 321321 333333 444444 456789 520520 555555 5201314 654321
    666666 6969696 696969 741852 741852963 753951 777777 7777777 789456 789456123 87654321 888888 88888888 987654
    987654321 9876543210 999999 99999999 a123456 a1b2c3 a1b2c3d4 aa123456 aaaaaa abc123 abc1234 abc12345 abcd1234
    abcdef abcdefg abcdefgh access admin1 admin123 administrator alexander amanda andrea andrew anthony arsenal asdasd
    asdf1234 asdfasdf asdfgh asdfghjkl ashley austin azerty bailey banana barcelona baseball basketball batman beautiful
    biteme brandon buster butterfly carlos changeme charlie cheese chelsea chocolate computer cookie corvette daniel
    default diamond dragon dubsmash evite family ferrari flower football forever freedom fuckyou george ginger google
    guitar hannah harley heather hello123 helloo hockey hottie hunter iloveu iloveyou iloveyou1 india123 internet
    jasmine jennifer jessica jessie jordan jordan23 joseph joshua justin killer klaster letmein liverpool lovely loveme
    maggie martin master matrix matthew melissa merlin michael michelle million2 mobile1 monkey monkey1 mother mustang
    mynoob naruto nathan nicole ninja1 nothing oliver omgpop orange p@ssw0rd p@ssword pass123 pass1234 passw0rd password
    password! password1 password12 password123 password1234 patrick peanut pepper pokemon princess purple qazwsx
    qazwsxedc qwe123 qweasd qweasdzxc qweqwe qwer1234 qwert1 qwerty qwerty1 qwerty12 qwerty123 qwerty1234 qwerty12345
    qwertyu qwertyuiop qwertz ranger robert samantha samsung secret secret123 shadow silver slipknot soccer sophie
    spiderman starwars summer sunshine superman superstar taylor tennis test123 test1234 thomas thunder tigger tinkle
    trustno1 unknown victoria welcome welcome1 welcome123 whatever whatsapp whatsapp1 whatsapp123 william winner
    yellow zaq12wsx zxcvbn zxcvbnm
"""
_COMMON: Final = frozenset(_WORDS.split())


def is_forbidden(password: str, mobile: str) -> bool:
    """Whether the password is very common, one character repeated, or the person's own number.

    :param mobile: canonical
    """
    if password.casefold() in _COMMON or len(set(password)) == 1:
        return True
    digits = "".join(letter for letter in password if letter.isdecimal())
    plain = all(letter.isdecimal() or letter in " +-.()[]/" for letter in password)
    return plain and len(digits) >= MIN_DIGITS and mobile.endswith(digits.lstrip("0"))
