# Exists only while old mail is migrated: who runs "sealwright mail import" signs as this account, which Workspace lets insert
# messages and nothing else, and has the keys of old mail wrapped by the key service. Take var.migration away and it is gone.
resource "google_service_account" "migration" {
  count = length(var.migration.members) == 0 ? 0 : 1

  account_id   = "sealwright-migration"
  display_name = "Sealwright migration of old mail"
  description  = "Delegated gmail.insert, while old mail is migrated"

  depends_on = [google_project_service.apis]
}

resource "google_service_account_iam_binding" "migration" {
  count = length(var.migration.members) == 0 ? 0 : 1

  service_account_id = google_service_account.migration[0].name
  role               = google_project_iam_custom_role.jwt_signer.id
  members            = var.migration.members
}

# The key service knows the account by an ID token of its own.
resource "google_service_account_iam_binding" "migration_id_token" {
  count = length(var.migration.members) == 0 ? 0 : 1

  service_account_id = google_service_account.migration[0].name
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  members            = var.migration.members
}
