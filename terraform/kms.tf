# Key-encryption keys that live in Cloud KMS. An admin makes them (docs/deploy.md), so that taking this project down
# destroys none; here the key service alone gets to use them.

locals {
  key_encryption_keys = distinct([
    for version in var.key_service.kms_key_versions : regex("^(.+)/cryptoKeyVersions/[0-9]+$", version)[0]
  ])
}

resource "google_kms_crypto_key_iam_member" "key_service" {
  for_each = toset(local.key_encryption_keys)

  crypto_key_id = each.value
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = google_service_account.function["key-service"].member

  depends_on = [google_project_service.apis]
}
