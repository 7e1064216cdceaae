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

# Issuing keys that live in Cloud KMS, made by an admin likewise. `sign` has them sign digests; whoever sets up the CA reads
# the public key, and signs one request where another CA signs ours. Nobody here may destroy a version.
locals {
  issuing_keys = distinct([
    for version in var.issuing_kms_key_versions : regex("^(.+)/cryptoKeyVersions/[0-9]+$", version)[0]
  ])
}

resource "google_kms_crypto_key_iam_member" "sign" {
  for_each = toset(local.issuing_keys)

  crypto_key_id = each.value
  role          = "roles/cloudkms.signerVerifier"
  member        = google_service_account.function["sign"].member

  depends_on = [google_project_service.apis]
}

resource "google_kms_crypto_key_iam_member" "set_up" {
  for_each = toset(local.issuing_keys)

  crypto_key_id = each.value
  role          = "roles/cloudkms.signerVerifier"
  member        = google_service_account.acting["set-up"].member

  depends_on = [google_project_service.apis]
}

# Looks every six hours whether the key is usable and the certificate's; it cannot sign with it.
resource "google_kms_crypto_key_iam_member" "publish_crl" {
  for_each = toset(local.issuing_keys)

  crypto_key_id = each.value
  role          = "roles/cloudkms.publicKeyViewer"
  member        = google_service_account.function["publish-crl"].member

  depends_on = [google_project_service.apis]
}
