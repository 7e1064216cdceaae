# Secrets and who reads them. Terraform makes the places; it never sees a key: the CA key and the key-encryption key
# are put in by an admin (docs/deploy.md), the database password is written without passing through the state.

locals {
  # The whole list, with login_readers: the bindings below are authoritative.
  secret_readers = {
    # Versions are PKCS#8 DER. The function that handles events also handles mailboxes, so it must not read this.
    "issuing-ca-key" = ["sign"]
    # Versions are PKCS#8 DER, one for each OCSP signer. publish-crl adds them and cannot read them.
    "ocsp-signer-key" = ["sign"]
    # The same for the keys that sign checkpoints of the audit trail.
    "audit-signer-key" = ["sign"]
    # Versions are 32 raw bytes.
    "key-encryption-key" = ["key-service"]
    # Versions are PKCS#8. Signs the key service's own tokens, for other key services and delegation.
    "key-service-token-key" = ["key-service"]
    # The owner's login. Whoever sets up the CA makes the tables too; no function has it.
    "database-url" = ["set-up"]
    # The database server's own CA certificate, which its TLS certificate is checked against. Not secret.
    "database-ca" = concat(local.function_names, ["set-up"])
    # Not secret either. It is here because functions mount secrets as files: a changed policy is a new version, and a
    # new version a new revision, so a bad one can be taken back and it is known which policy was in force when.
    "policy" = ["directory-event", "sweep", "admin"]
  }

  # Each function's own login to the ledger, which nobody else reads.
  login_readers = { for name in local.function_names : "${name}-database-url" => [name] }

  # A destroyed version stays restorable for 30 days: without it, CRLs cannot be signed or mail not be read.
  lasting_secrets = ["issuing-ca-key", "key-encryption-key"]
}

resource "google_secret_manager_secret" "secret" {
  for_each = merge(local.secret_readers, local.login_readers)

  secret_id           = each.key
  version_destroy_ttl = contains(local.lasting_secrets, each.key) ? "2592000s" : null
  deletion_protection = contains(local.lasting_secrets, each.key)

  replication {
    user_managed {
      replicas {
        location = var.project.region
      }
    }
  }

  depends_on = [google_project_service.apis]
}

resource "google_secret_manager_secret_iam_binding" "readers" {
  for_each = merge(local.secret_readers, local.login_readers)

  secret_id = google_secret_manager_secret.secret[each.key].id
  role      = "roles/secretmanager.secretAccessor"
  members   = [for name in each.value : "serviceAccount:${local.emails[name]}"]

  depends_on = [google_service_account.function, google_service_account.acting]
}

# Whoever sets up the CA puts a key in and cannot read it back.
resource "google_secret_manager_secret_iam_member" "set_up_adds_ca_key" {
  secret_id = google_secret_manager_secret.secret["issuing-ca-key"].id
  role      = "roles/secretmanager.secretVersionAdder"
  member    = google_service_account.acting["set-up"].member
}

# Makes the keys of new OCSP and audit signers, puts them in and cannot read them back.
resource "google_secret_manager_secret_iam_member" "publish_crl_adds_keys" {
  for_each = toset(["ocsp-signer-key", "audit-signer-key"])

  secret_id = google_secret_manager_secret.secret[each.value].id
  role      = "roles/secretmanager.secretVersionAdder"
  member    = google_service_account.function["publish-crl"].member
}

# `sealwright ca health` says when a version is disabled, and `ca import` sees which versions there are, without being able to read one.
resource "google_secret_manager_secret_iam_member" "set_up_sees_ca_key" {
  secret_id = google_secret_manager_secret.secret["issuing-ca-key"].id
  role      = "roles/secretmanager.viewer"
  member    = google_service_account.acting["set-up"].member
}

# publish-crl says the same every six hours, as ca-finding.
resource "google_secret_manager_secret_iam_member" "publish_crl_sees_ca_key" {
  secret_id = google_secret_manager_secret.secret["issuing-ca-key"].id
  role      = "roles/secretmanager.viewer"
  member    = google_service_account.function["publish-crl"].member
}

resource "google_secret_manager_secret_version" "database_url" {
  secret = google_secret_manager_secret.secret["database-url"].id
  # verify-ca and not verify-full: Cloud SQL's certificate names the instance, and the address here is an IP.
  secret_data_wo = join("", [
    "postgresql://${google_sql_user.ledger.name}:${ephemeral.random_password.ledger.result}",
    "@${google_sql_database_instance.ledger.private_ip_address}:5432/${google_sql_database.ledger.name}",
    "?uselibpqcompat=true&sslmode=verify-ca&sslrootcert=${local.ledger_ca_folder}/server-ca.pem",
  ])
  secret_data_wo_version = var.database.password_version
}

resource "google_secret_manager_secret_version" "function_database_url" {
  for_each = local.ledger_logins

  secret = google_secret_manager_secret.secret["${each.key}-database-url"].id
  secret_data_wo = join("", [
    "postgresql://${google_sql_user.function[each.key].name}:${ephemeral.random_password.function[each.key].result}",
    "@${google_sql_database_instance.ledger.private_ip_address}:5432/${google_sql_database.ledger.name}",
    "?uselibpqcompat=true&sslmode=verify-ca&sslrootcert=${local.ledger_ca_folder}/server-ca.pem",
  ])
  secret_data_wo_version = var.database.password_version
}

moved {
  from = google_secret_manager_secret_version.ocsp_database_url[0]
  to   = google_secret_manager_secret_version.function_database_url["ocsp"]
}

resource "google_secret_manager_secret_version" "database_ca" {
  secret      = google_secret_manager_secret.secret["database-ca"].id
  secret_data = google_sql_database_instance.ledger.server_ca_cert[0].cert
}

resource "google_secret_manager_secret_version" "policy" {
  secret      = google_secret_manager_secret.secret["policy"].id
  secret_data = file(var.policy_file)

  # Old policies stay readable, for whoever asks later what was in force.
  deletion_policy = "ABANDON"

  lifecycle {
    create_before_destroy = true
  }
}
