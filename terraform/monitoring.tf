# Who is told (what, is in alerts.tf), and what is looked at: signs of life in logs, and the public addresses from outside.

resource "google_monitoring_notification_channel" "email" {
  for_each = toset(var.alert_addresses)

  display_name = each.key
  type         = "email"
  labels = {
    email_address = each.key
  }

  depends_on = [google_project_service.apis]
}

resource "google_logging_metric" "crl_published" {
  name   = "sealwright/crl-published"
  filter = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"publish-crl\" AND jsonPayload.event=\"crl-published\""

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }

  depends_on = [google_project_service.apis]
}

locals {
  # From outside, by name: DNS, load balancer, certificate and what stands behind. The root's CRL has a name of its own,
  # which is known once the CA is made.
  uptime_checks = merge(
    { "key-service" = { host = var.public_hosts.key_service, path = "/v1/status", port = 443, use_ssl = true } },
    var.root_crl_path == null ? {} : { "pki" = { host = var.public_hosts.pki, path = var.root_crl_path, port = 80, use_ssl = false } },
  )
}

resource "google_monitoring_uptime_check_config" "public" {
  for_each = local.uptime_checks

  display_name = "Sealwright: ${each.key}"
  timeout      = "10s"
  period       = "300s"

  http_check {
    path         = each.value.path
    port         = each.value.port
    use_ssl      = each.value.use_ssl
    validate_ssl = each.value.use_ssl
    # A redirect is a failure: what fetches a CRL may not follow it.
    accepted_response_status_codes {
      status_value = 200
    }
  }

  monitored_resource {
    type = "uptime_url"
    labels = {
      project_id = var.project.id
      host       = each.value.host
    }
  }

  depends_on = [google_project_service.apis]
}

resource "google_logging_metric" "sweep_whole" {
  name   = "sealwright/sweep-whole"
  filter = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"sweep\" AND jsonPayload.event=\"sweep-whole\" AND jsonPayload.scope=\"/\""

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }

  depends_on = [google_project_service.apis]
}
