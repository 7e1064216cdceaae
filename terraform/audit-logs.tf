# Reads that leave no trace by default: of secrets, and of service accounts being signed for.

resource "google_project_iam_audit_config" "reads" {
  for_each = toset(["secretmanager.googleapis.com", "iam.googleapis.com"])

  project = var.project.id
  service = each.key

  audit_log_config {
    log_type = "DATA_READ"
  }
}
