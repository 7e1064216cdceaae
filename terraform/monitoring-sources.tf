# Whether anything in the directory goes unnoticed. `due` writes one line of numbers and one line for each alarm that
# stands, every minute (shared/sources/freshness.ts); `sweep` one line about the hints that wait for a wave.

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

locals {
  rollout_metrics = {
    "hints-waiting" = { field = "waiting", unit = "1" }
    "oldest-hint"   = { field = "oldestWaitingSeconds", unit = "s" }
    "hints-late"    = { field = "late", unit = "1" }
  }
}

resource "google_logging_metric" "rollout" {
  for_each = local.rollout_metrics

  name            = "sealwright/${each.key}"
  filter          = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"sweep\" AND jsonPayload.event=\"rollout\" AND jsonPayload.${each.value.field}>=0"
  value_extractor = "EXTRACT(jsonPayload.${each.value.field})"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = each.value.unit
  }

  depends_on = [google_project_service.apis]
}
