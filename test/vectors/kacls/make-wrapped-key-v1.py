"""Writes wrapped-key-v1.json: the wrapped-key format, version 1, built by other hands than the product's."""

import base64
import json
import pathlib

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

key = bytes(range(32))
nonce = bytes(range(100, 112))
kek_id, user_id, perimeter, tenant = "kek/1", "100000000000000000001", "board", "C00sample"
spki_sha256 = bytes(range(200, 232))
payload = b"this stands where a private key would stand"


def text(value: str) -> bytes:
    data = value.encode()
    return bytes([len(data)]) + data


header = b"SWPK" + bytes([1]) + text(kek_id) + text(user_id) + text(perimeter) + spki_sha256
aad = text("smime-private-key") + text(tenant) + header
blob = header + nonce + AESGCM(key).encrypt(nonce, payload, aad)

vector = {
    "kekHex": key.hex(),
    "kekId": kek_id,
    "nonceHex": nonce.hex(),
    "tenantId": tenant,
    "userId": user_id,
    "perimeterId": perimeter,
    "spkiSha256Hex": spki_sha256.hex(),
    "payloadUtf8": payload.decode(),
    "wrappedKey": base64.b64encode(blob).decode(),
}
target = pathlib.Path(__file__).with_name("wrapped-key-v1.json")
target.write_text(json.dumps(vector, indent=2) + "\n")
