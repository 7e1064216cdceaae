# What leaves no trace by default: reads of secrets, service accounts being signed for, uses of keys in Cloud KMS.

resource "google_project_iam_audit_config" "reads" {
  for_each = toset(["secretmanager.googleapis.com", "iam.googleapis.com", "cloudkms.googleapis.com"])

  project = var.project.id
  service = each.key

  audit_log_config {
    log_type = "DATA_READ"
  }
}
