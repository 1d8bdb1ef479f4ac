"""App JWTs: RS256 checked in plain Python, with GitHub's rules on claims.

Nothing here is fit for production use: it verifies, slowly, for tests.
"""

import base64
import hashlib
import json

# DigestInfo of SHA-256 (RFC 8017, 9.2, note 1).
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
MAX_LIFE = 600


class Refused(Exception):
    """Why a token was not accepted, in GitHub's words."""


def _tlv(data, pos):
    """One DER element at pos: (tag, content, position after it)."""
    tag, size = data[pos], data[pos + 1]
    pos += 2
    if size & 0x80:
        count = size & 0x7F
        size = int.from_bytes(data[pos:pos + count], "big")
        pos += count
    if pos + size > len(data):
        raise ValueError("DER element runs past its end")
    return tag, data[pos:pos + size], pos + size


def load_key(pem):
    """(modulus, exponent) of an RSA public key, PKCS#1 or SPKI PEM."""
    body = "".join(line for line in pem.splitlines()
                   if line and not line.startswith("-----"))
    _, seq, _ = _tlv(base64.b64decode(body), 0)
    tag, first, after = _tlv(seq, 0)
    if tag == 0x30:  # SubjectPublicKeyInfo: algorithm, then a bit string
        _, bits, _ = _tlv(seq, after)
        _, seq, _ = _tlv(bits[1:], 0)
        _, first, after = _tlv(seq, 0)
    _, second, _ = _tlv(seq, after)
    return int.from_bytes(first, "big"), int.from_bytes(second, "big")


def _unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _signed(key, message, signature):
    modulus, exponent = key
    size = (modulus.bit_length() + 7) // 8
    if len(signature) != size:
        return False
    value = pow(int.from_bytes(signature, "big"), exponent, modulus)
    digest = SHA256_INFO + hashlib.sha256(message).digest()
    padding = b"\xff" * (size - len(digest) - 3)
    wanted = b"\x00\x01" + padding + b"\x00" + digest
    return value.to_bytes(size, "big") == wanted


def check_jwt(token, key, issuers, now):
    """Raise Refused unless token is a JWT that GitHub would accept."""
    try:
        head, body, signature = token.split(".")
        header = json.loads(_unb64(head))
        claims = json.loads(_unb64(body))
        ok = (header.get("alg") == "RS256" and key is not None and
              _signed(key, f"{head}.{body}".encode(), _unb64(signature)))
    except (ValueError, TypeError, AttributeError):
        ok = False
    if not ok:
        raise Refused("A JSON web token could not be decoded")
    issued, expires = claims.get("iat"), claims.get("exp")
    if not isinstance(issued, int) or issued > now:
        raise Refused("'Issued at' claim ('iat') must be an Integer "
                      "representing the time that the assertion was issued")
    if not isinstance(expires, int) or expires <= now:
        raise Refused("'Expiration time' claim ('exp') must be a numeric "
                      "value representing the future time at which the "
                      "assertion expires")
    if expires > now + MAX_LIFE:
        raise Refused("'Expiration time' claim ('exp') is too far in the "
                      "future")
    if str(claims.get("iss")) not in issuers:
        raise Refused("Integration not found")
