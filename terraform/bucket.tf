# CRLs and issuer certificates, for anybody who reads our mail.

resource "google_storage_bucket" "public" {
  name                        = local.public_bucket
  location                    = var.project.region
  uniform_bucket_level_access = true
  # It is meant to be public. Where the organization forbids that, this bucket needs an exception (docs/deploy.md).
  public_access_prevention = "inherited"

  # Without a customer-managed key: Cloud Storage caches public objects only then. How long is said by each object's own
  # Cache-Control: a minute for a CRL, an hour for certificates.

  # Every CRL that was ever published can be shown later.
  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      with_state                 = "ARCHIVED"
      days_since_noncurrent_time = 1100
    }
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_project_service.apis]
}

# Reading an object by its name, without the right to list them.
resource "google_storage_bucket_iam_binding" "public_readers" {
  bucket  = google_storage_bucket.public.name
  role    = "roles/storage.legacyObjectReader"
  members = ["allUsers"]
}

# Replacing an object takes the right to delete the old one, which objectCreator has not.
resource "google_storage_bucket_iam_binding" "public_writers" {
  bucket = google_storage_bucket.public.name
  role   = "roles/storage.objectUser"
  members = [
    google_service_account.function["publish-crl"].member,
    google_service_account.acting["set-up"].member,
  ]
}
