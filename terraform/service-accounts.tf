# Who does what. No account has a key file, none has a role on the project but the one that builds.

resource "google_service_account" "function" {
  for_each = toset(local.function_names)

  account_id   = "sealwright-${each.key}"
  display_name = "Sealwright function ${each.key}"

  depends_on = [google_project_service.apis]
}

resource "google_service_account" "acting" {
  for_each = local.acting_accounts

  account_id   = "sealwright-${each.key}"
  display_name = "Sealwright ${each.key}"
  description  = each.value

  depends_on = [google_project_service.apis]
}

# Signing JWTs as another account, and nothing else that roles/iam.serviceAccountTokenCreator would add.
resource "google_project_iam_custom_role" "jwt_signer" {
  role_id     = "sealwrightJwtSigner"
  title       = "Sealwright JWT signer"
  description = "Signs JWTs as a service account, for delegated access to Gmail and for the directory"
  permissions = ["iam.serviceAccounts.signJwt"]
}

locals {
  # Who may sign as the accounts that Workspace trusts. Only directory-event touches mailboxes.
  jwt_signers = {
    "gmail"     = ["directory-event"]
    "directory" = ["directory-event", "due", "sweep", "admin"]
  }
}

# Authoritative, for the same reason as the invokers.
resource "google_service_account_iam_binding" "jwt_signers" {
  for_each = local.jwt_signers

  service_account_id = google_service_account.acting[each.key].name
  role               = google_project_iam_custom_role.jwt_signer.id
  members            = [for name in each.value : google_service_account.function[name].member]
}

# People set up the CA as this account instead of giving themselves its rights.
resource "google_service_account_iam_binding" "set_up" {
  count = length(var.admins.set_up) == 0 ? 0 : 1

  service_account_id = google_service_account.acting["set-up"].name
  role               = "roles/iam.serviceAccountTokenCreator"
  members            = var.admins.set_up
}

# Builds the containers of the functions; the default build account would be an editor of the project in older projects.
resource "google_service_account" "build" {
  account_id   = "sealwright-build"
  display_name = "Sealwright build of the functions"

  depends_on = [google_project_service.apis]
}

resource "google_project_iam_member" "build_logs" {
  project = var.project.id
  role    = "roles/logging.logWriter"
  member  = google_service_account.build.member
}

resource "google_storage_bucket_iam_member" "build_reads_sources" {
  bucket = google_storage_bucket.sources.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.build.member
}

resource "google_artifact_registry_repository_iam_member" "build_writes" {
  location   = google_artifact_registry_repository.functions.location
  repository = google_artifact_registry_repository.functions.name
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.build.member
}
