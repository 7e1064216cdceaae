# What a person has to be told. Everything here means: something is stuck and nothing will mend it by itself.

resource "google_monitoring_notification_channel" "email" {
  for_each = toset(var.alert_addresses)

  display_name = each.key
  type         = "email"
  labels = {
    email_address = each.key
  }

  depends_on = [google_project_service.apis]
}

locals {
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.id]
}

resource "google_monitoring_alert_policy" "dead_letters" {
  display_name          = "Sealwright: dead letters"
  combiner              = "OR"
  notification_channels = local.notification_channels

  conditions {
    display_name = "An event could not be handled in ten attempts"
    condition_threshold {
      filter          = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${google_pubsub_subscription.dead_letters.name}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"
      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  documentation {
    content = "Each message names its subscription and its last error is in that function's log. The users concerned are looked at again by the sweep. sealwright events dead list shows what they asked for; docs/runbooks/events.md has the rest."
  }
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

# A CRL is published every six hours and is good for seven days: two missed runs leave six days to act.
resource "google_monitoring_alert_policy" "crl_age" {
  display_name          = "Sealwright: no CRL was published"
  combiner              = "OR"
  notification_channels = local.notification_channels

  conditions {
    display_name = "No CRL for thirteen hours"
    condition_absent {
      filter   = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.crl_published.name}\" AND resource.type=\"cloud_run_revision\""
      duration = "46800s"
      aggregations {
        alignment_period   = "3600s"
        per_series_aligner = "ALIGN_SUM"
      }
    }
  }

  documentation {
    content = "When the CRL's nextUpdate passes, mail signed with our certificates stops verifying. The log of publish-crl says what stands in the way."
  }
}

# What publish-crl and the responder say when revocations may not be seen, long before anybody is harmed by it.
resource "google_monitoring_alert_policy" "revocation_status" {
  display_name          = "Sealwright: CRL or OCSP is not as it should be"
  combiner              = "OR"
  notification_channels = local.notification_channels

  conditions {
    display_name = "A CRL or OCSP answer is old, or a public address is wrong"
    condition_matched_log {
      filter = "resource.type=\"cloud_run_revision\" AND severity>=ERROR AND jsonPayload.event=(\"ca-finding\" OR \"crl-not-published\" OR \"ocsp-not-published\" OR \"ocsp-answers-old\" OR \"ocsp-answer-stale\" OR \"audit-checkpoint-failed\" OR \"public-address-wrong\")"
    }
  }

  alert_strategy {
    auto_close = "86400s"
    notification_rate_limit {
      period = "3600s"
    }
  }

  documentation {
    content = "ca-finding: what sealwright ca health says, such as a CRL that has used half of its life. ocsp-answers-old: the same of OCSP answers. audit-checkpoint-failed: the audit trail got no signed checkpoint; if the message speaks of intent-mismatch, somebody changed it. public-address-wrong: an address printed into certificates does not give what it should; failure says what. Issuing goes on where the address was right once."
  }

  depends_on = [google_project_service.apis]
}

# What `sealwright ca health` would say, looked at every six hours: the root's CRL sixty days before it ends above all.
resource "google_monitoring_alert_policy" "ca_finding" {
  display_name          = "Sealwright: something is wrong with the CA"
  combiner              = "OR"
  notification_channels = local.notification_channels

  conditions {
    display_name = "publish-crl logged ca-finding as an error"
    condition_matched_log {
      filter = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"publish-crl\" AND severity>=ERROR AND jsonPayload.event=\"ca-finding\""
      label_extractors = {
        finding = "EXTRACT(jsonPayload.id)"
      }
    }
  }

  alert_strategy {
    auto_close = "604800s"
    notification_rate_limit {
      period = "86400s"
    }
  }

  documentation {
    content = "The message of the log line says what is wrong and what to do; docs/runbooks/ca.md has every finding by its id."
  }

  depends_on = [google_project_service.apis]
}

# A certificate that could not be renewed is warned about once at each of 30, 14, 7 and 1 days and at its end.
resource "google_monitoring_alert_policy" "certificate_expiring" {
  display_name          = "Sealwright: a certificate could not be renewed"
  combiner              = "OR"
  notification_channels = local.notification_channels

  conditions {
    display_name = "A function logged certificate-expiring"
    condition_matched_log {
      filter = "resource.type=\"cloud_run_revision\" AND severity>=WARNING AND jsonPayload.event=\"certificate-expiring\""
    }
  }

  alert_strategy {
    auto_close = "86400s"
    notification_rate_limit {
      period = "3600s"
    }
  }

  documentation {
    content = "The log lines name the users and how many days are left. \"sealwright user ADDRESS\" says what stands in the way; many at once mean that Gmail, the key service or the CA refuses everybody."
  }

  depends_on = [google_project_service.apis]
}

# Wrong settings, a database that is out of reach, a schema that is too old: the function answers 503 and says why.
resource "google_monitoring_alert_policy" "not_started" {
  display_name          = "Sealwright: a function cannot start"
  combiner              = "OR"
  notification_channels = local.notification_channels

  conditions {
    display_name = "A function logged not-started"
    condition_matched_log {
      filter = "resource.type=\"cloud_run_revision\" AND severity>=CRITICAL AND jsonPayload.event=\"not-started\""
    }
  }

  alert_strategy {
    auto_close = "86400s"
    notification_rate_limit {
      period = "3600s"
    }
  }

  documentation {
    content = "The message of the log line names the setting or the service."
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

resource "google_monitoring_alert_policy" "unreachable" {
  for_each = local.uptime_checks

  display_name          = "Sealwright: ${each.key} is unreachable"
  combiner              = "OR"
  notification_channels = local.notification_channels

  conditions {
    display_name = "${each.value.host} does not answer ${each.value.path}"
    condition_threshold {
      filter          = "metric.type=\"monitoring.googleapis.com/uptime_check/check_passed\" AND resource.type=\"uptime_url\" AND metric.labels.check_id=\"${google_monitoring_uptime_check_config.public[each.key].uptime_check_id}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 1
      duration        = "300s"
      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_NEXT_OLDER"
        cross_series_reducer = "REDUCE_COUNT_FALSE"
        group_by_fields      = ["resource.label.host"]
      }
      trigger {
        count = 1
      }
    }
  }

  documentation {
    content = "Without the key service nobody can read encrypted mail; without the CRL nobody can check a signature."
  }
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

# Events may be lost; only the sweep finds out. It begins every six hours: two missed ones are reason to look.
resource "google_monitoring_alert_policy" "sweep_age" {
  display_name          = "Sealwright: the directory was not read whole"
  combiner              = "OR"
  notification_channels = local.notification_channels

  conditions {
    display_name = "No whole sweep for thirteen hours"
    condition_absent {
      filter   = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.sweep_whole.name}\" AND resource.type=\"cloud_run_revision\""
      duration = "46800s"
      aggregations {
        alignment_period   = "3600s"
        per_series_aligner = "ALIGN_SUM"
      }
    }
  }

  documentation {
    content = "Joiners and leavers whose event was lost are not found, and users in no list do not depart. sealwright status says why the last sweep was not whole; so does the log of sweep (sweep-not-whole, sweep-hindered). If the directory really has lost that many users, sealwright sweep start --accept-shrunk."
  }
}
