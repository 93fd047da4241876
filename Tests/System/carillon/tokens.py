"""Tokens as an application's backend signs them (HS256), good ones and bad ones."""

import base64
import hashlib
import hmac
import json
import time


def unpadded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def mint(secret, person, seconds=3600, algorithm="HS256", **claims):
    header = unpadded(json.dumps({"alg": algorithm, "typ": "JWT"}).encode())
    body = unpadded(json.dumps({"sub": person, "exp": int(time.time()) + seconds, **claims}).encode())
    signature = hmac.new(secret.encode(), f"{header}.{body}".encode(), hashlib.sha256).digest()
    return f"{header}.{body}.{'' if algorithm == 'none' else unpadded(signature)}"
