"""Writes wrapped-content-key-v1.json: the wrapped content key, version 1, built by other hands than the product's."""

import base64
import hashlib
import json
import pathlib

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

key = bytes(range(32))
nonce = bytes(range(100, 112))
kek_id, perimeter, tenant = "kek/1", "board", "C00sample"
resource = "//googleapis.com/drive/files/1ZRzC"
content_key = bytes(range(150, 182))


def text(value: str) -> bytes:
    data = value.encode()
    return bytes([len(data)]) + data


header = b"SWDK" + bytes([1]) + text(kek_id) + text(perimeter) + hashlib.sha256(resource.encode()).digest()
aad = text("content-key") + text(tenant) + header
blob = header + nonce + AESGCM(key).encrypt(nonce, content_key, aad)

vector = {
    "kekHex": key.hex(),
    "kekId": kek_id,
    "nonceHex": nonce.hex(),
    "tenantId": tenant,
    "perimeterId": perimeter,
    "resourceName": resource,
    "contentKeyHex": content_key.hex(),
    "wrappedKey": base64.b64encode(blob).decode(),
}
target = pathlib.Path(__file__).with_name("wrapped-content-key-v1.json")
target.write_text(json.dumps(vector, indent=2) + "\n")
