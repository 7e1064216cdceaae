# What runs by the clock.

locals {
  jobs = {
    # Renewals, ends of grace periods, back-offs, parked work, the notification channels, the Reports API.
    "due" = { schedule = "* * * * *", retries = 0 }
    # Begins a sweep when one is due, goes on with the one under way, lets a minute of waiting hints out.
    "sweep" = { schedule = "* * * * *", retries = 0 }
    # Well inside the CRL's seven days; a revocation asks for one of its own through crl-requests.
    "publish-crl" = { schedule = "0 */6 * * *", retries = 5 }
  }
}

resource "google_cloud_scheduler_job" "job" {
  for_each = local.jobs

  name      = each.key
  region    = var.project.region
  schedule  = each.value.schedule
  time_zone = "Etc/UTC"
  # As long as the function itself may take.
  attempt_deadline = "${local.functions[each.key].timeout_seconds}s"

  http_target {
    http_method = "POST"
    uri         = "${local.urls[each.key]}/"

    oidc_token {
      service_account_email = google_service_account.acting["scheduler"].email
      audience              = local.urls[each.key]
    }
  }

  # A missed minute is made up for by the next one; a missed CRL would be six hours late.
  retry_config {
    retry_count          = each.value.retries
    min_backoff_duration = "30s"
    max_backoff_duration = "600s"
  }

  depends_on = [google_cloud_run_v2_service_iam_binding.invokers]
}
