# Whether anything in the directory goes unnoticed. `due` writes one line of numbers and one line for each alarm that
# stands, every minute (shared/sources/freshness.ts).

locals {
  freshness_metrics = {
    "audit-age"      = { field = "auditAgeSeconds", unit = "s" }
    "watch-age"      = { field = "watchAgeSeconds", unit = "s" }
    "reports-age"    = { field = "reportsAgeSeconds", unit = "s" }
    "channel-left"   = { field = "channelLeftSeconds", unit = "s" }
    "sweep-age"      = { field = "sweepAgeSeconds", unit = "s" }
    "sweep-drift"    = { field = "sweepDrift", unit = "1" }
    "due-users"      = { field = "dueUsers", unit = "1" }
    "oldest-due"     = { field = "oldestDueSeconds", unit = "s" }
    "pending-users"  = { field = "pendingUsers", unit = "1" }
    "oldest-pending" = { field = "oldestPendingSeconds", unit = "s" }
  }
}

resource "google_logging_metric" "freshness" {
  for_each = local.freshness_metrics

  name            = "sealwright/${each.key}"
  filter          = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"due\" AND jsonPayload.event=\"freshness\" AND jsonPayload.${each.value.field}>=0"
  value_extractor = "EXTRACT(jsonPayload.${each.value.field})"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = each.value.unit
  }

  depends_on = [google_project_service.apis]
}

# One incident for each kind of alarm; the line itself says what is wrong and what to do.
resource "google_monitoring_alert_policy" "freshness" {
  display_name          = "Sealwright: changes may go unnoticed"
  combiner              = "OR"
  notification_channels = local.notification_channels

  conditions {
    display_name = "due logged an alarm"
    condition_matched_log {
      filter = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"due\" AND severity>=ERROR AND jsonPayload.event=\"alarm\""
      label_extractors = {
        alarm = "EXTRACT(jsonPayload.alarm)"
      }
    }
  }

  alert_strategy {
    auto_close = "86400s"
    notification_rate_limit {
      period = "3600s"
    }
  }

  documentation {
    content = "The message of the log line says what is wrong; docs/runbooks/events.md has every alarm by its name. sealwright status shows them first."
  }

  depends_on = [google_project_service.apis]
}

# The one that watches the others: without due nothing is measured, and nobody is looked at whose time has come.
resource "google_monitoring_alert_policy" "due_silent" {
  display_name          = "Sealwright: due does not run"
  combiner              = "OR"
  notification_channels = local.notification_channels

  conditions {
    display_name = "No freshness line for fifteen minutes"
    condition_absent {
      filter   = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.freshness["due-users"].name}\" AND resource.type=\"cloud_run_revision\""
      duration = "900s"
      aggregations {
        alignment_period   = "300s"
        per_series_aligner = "ALIGN_COUNT"
      }
    }
  }

  documentation {
    content = "Cloud Scheduler calls due every minute; look at the job's last result and at the log of due."
  }
}

# Events that wait: the functions do not keep up, or fail. Dead letters have an alert of their own (monitoring.tf).
resource "google_monitoring_alert_policy" "undelivered" {
  display_name          = "Sealwright: events wait"
  combiner              = "OR"
  notification_channels = local.notification_channels

  conditions {
    display_name = "The oldest event waits for half an hour"
    condition_threshold {
      filter          = "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${google_pubsub_subscription.push["directory-events-push"].name}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 1800
      duration        = "300s"
      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  documentation {
    content = "Pub/Sub holds events that directory-event has not acknowledged; its log says why. During a rollout a few minutes are usual."
  }
}
