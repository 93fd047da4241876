"""Checks a provider token (ES256 JWT) as "Establishing a token-based connection to APNs" asks."""

import base64
import functools
import json
import os
import subprocess
import tempfile

STALE_AFTER = 3600  # seconds; Apple refuses a token whose iat is more than one hour old
SKEW = 300  # seconds that an iat may lie in the future


class Verifier:
    def __init__(self, public_key_file, key_id, team_id):
        self.public_key_file, self.key_id, self.team_id = public_key_file, key_id, team_id
        self.parse = functools.lru_cache(maxsize=4096)(self._parse)  # a provider token is sent thousands of times

    def refusal(self, authorization, now):
        """None, or (status, reason)."""
        if not authorization or not authorization.lower().startswith("bearer "):
            return 403, "MissingProviderToken"
        issued_at = self.parse(authorization[7:].strip())
        if issued_at is None or issued_at > now + SKEW:
            return 403, "InvalidProviderToken"
        if now - issued_at > STALE_AFTER:
            return 403, "ExpiredProviderToken"
        return None

    def _parse(self, token):
        """The token's iat if everything but its age is right, else None."""
        try:
            header_part, claims_part, signature_part = token.split(".")
            header, claims = json.loads(decode(header_part)), json.loads(decode(claims_part))
            signature = decode(signature_part)
        except (ValueError, UnicodeError):
            return None
        if not isinstance(header, dict) or not isinstance(claims, dict) or len(signature) != 64:
            return None
        if header.get("alg") != "ES256" or header.get("kid") != self.key_id or claims.get("iss") != self.team_id:
            return None
        issued_at = claims.get("iat")
        if type(issued_at) is not int:
            return None
        return issued_at if self.verified(f"{header_part}.{claims_part}".encode(), signature) else None

    def verified(self, signed, signature):
        with tempfile.TemporaryDirectory() as directory:
            data_file, signature_file = os.path.join(directory, "data"), os.path.join(directory, "signature")
            with open(data_file, "wb") as file:
                file.write(signed)
            with open(signature_file, "wb") as file:
                file.write(der(signature))
            answer = subprocess.run(
                ["openssl", "dgst", "-sha256", "-verify", self.public_key_file, "-signature", signature_file, data_file],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return answer.returncode == 0


def decode(part):
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)


def der(signature):
    """The two integers of a JWS signature (RFC 7518 section 3.4) as the DER sequence that OpenSSL reads."""
    def integer(raw):
        raw = raw.lstrip(b"\0") or b"\0"
        if raw[0] & 0x80:
            raw = b"\0" + raw
        return bytes([2, len(raw)]) + raw
    body = integer(signature[:32]) + integer(signature[32:])
    return bytes([0x30, len(body)]) + body
