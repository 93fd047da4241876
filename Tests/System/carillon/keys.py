"""Key pairs as an issuer of tokens holds them, and the JWK Set that it publishes. The openssl command does the arithmetic."""

import json
import os
import pathlib
import subprocess
import time

from .tokens import unpadded


def openssl(*words, given=b""):
    return subprocess.run(["openssl", *words], input=given, capture_output=True, check=True).stdout


def raw(signature):
    """r and s, 32 bytes each (RFC 7518 section 3.4), of a signature in DER."""
    numbers, rest = [], signature[2:]
    for _ in range(2):
        length = rest[1]
        numbers.append(int.from_bytes(rest[2:2 + length], "big").to_bytes(32, "big"))
        rest = rest[2 + length:]
    return b"".join(numbers)


class IssuerKey:
    """RS256 or ES256. The private half lies in `directory`."""

    def __init__(self, directory, kid, algorithm):
        self.kid, self.algorithm, self.file = kid, algorithm, str(pathlib.Path(directory) / f"{kid}.pem")
        options = ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if algorithm == "RS256" else ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
        openssl("genpkey", "-algorithm", *options, "-out", self.file)

    def jwk(self):
        if self.algorithm == "RS256":
            modulus = bytes.fromhex(openssl("rsa", "-in", self.file, "-noout", "-modulus").decode().strip().removeprefix("Modulus="))
            return {"kty": "RSA", "use": "sig", "kid": self.kid, "n": unpadded(modulus), "e": "AQAB"}
        point = openssl("pkey", "-in", self.file, "-pubout", "-outform", "DER")[-64:]
        return {"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": self.kid, "x": unpadded(point[:32]), "y": unpadded(point[32:])}

    def token(self, person, seconds=3600, **claims):
        header = unpadded(json.dumps({"alg": self.algorithm, "kid": self.kid}).encode())
        body = unpadded(json.dumps({"sub": person, "exp": int(time.time()) + seconds, **claims}).encode())
        signature = openssl("dgst", "-sha256", "-sign", self.file, given=f"{header}.{body}".encode())
        return f"{header}.{body}.{unpadded(signature if self.algorithm == 'RS256' else raw(signature))}"


def publish(path, *keys):
    """Writes the set as an operator should: beside it, then renamed."""
    new = pathlib.Path(str(path) + ".new")
    new.write_text(json.dumps({"keys": [key.jwk() for key in keys]}))
    os.replace(new, path)


def certificate(folder, name):
    """(certificate, key): self-signed for localhost, its own authority."""
    files = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", files[1], "-out",
                    files[0]], check=True, capture_output=True)
    return files
