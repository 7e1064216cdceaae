# What a person has to be told. Everything here means: something is stuck and nothing will mend it by itself. Three frames:
# a line in a log, a sign of life that does not come, messages that wait; and public addresses that do not answer.

locals {
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.id]

  # By name: the line that a function logs, and the label of it that tells incidents apart. One mail in `every` at most; an
  # incident closes after `closes` without another line.
  logged_alerts = {
    # What publish-crl and the responder say when revocations may not be seen, long before anybody is harmed by it.
    "revocation_status" = {
      title     = "CRL or OCSP is not as it should be"
      condition = "A CRL or OCSP answer is old, or a public address is wrong"
      filter    = "severity>=ERROR AND jsonPayload.event=(\"ca-finding\" OR \"crl-not-published\" OR \"crl-not-finished\" OR \"ocsp-not-published\" OR \"ocsp-answers-old\" OR \"ocsp-answer-stale\" OR \"audit-checkpoint-failed\" OR \"upkeep-failed\" OR \"public-address-wrong\")"
      labels    = {}
      closes    = "86400s"
      every     = "3600s"
      text      = "ca-finding: what sealwright ca health says, such as a CRL that has used half of its life. ocsp-answers-old: the same of OCSP answers. audit-checkpoint-failed: the audit trail got no signed checkpoint; if the message speaks of intent-mismatch, somebody changed it. upkeep-failed: nobody looked for ca-finding. public-address-wrong: an address printed into certificates does not give what it should; failure says what. Issuing goes on where the address was right once."
    }
    # What `sealwright ca health` would say, looked at every six hours: the root's CRL sixty days before it ends above all.
    "ca_finding" = {
      title     = "something is wrong with the CA"
      condition = "publish-crl logged ca-finding as an error"
      filter    = "resource.labels.service_name=\"publish-crl\" AND severity>=ERROR AND jsonPayload.event=\"ca-finding\""
      labels    = { finding = "EXTRACT(jsonPayload.id)" }
      closes    = "604800s"
      every     = "86400s"
      text      = "The message of the log line says what is wrong and what to do; docs/runbooks/ca.md has every finding by its id."
    }
    # A certificate that could not be renewed is warned about once at each of 30, 14, 7 and 1 days and at its end.
    "certificate_expiring" = {
      title     = "a certificate could not be renewed"
      condition = "A function logged certificate-expiring"
      filter    = "severity>=WARNING AND jsonPayload.event=\"certificate-expiring\""
      labels    = {}
      closes    = "86400s"
      every     = "3600s"
      text      = "The log lines name the users and how many days are left. \"sealwright user ADDRESS\" says what stands in the way; many at once mean that Gmail, the key service or the CA refuses everybody."
    }
    # Wrong settings, a database that is out of reach, a schema that is too old: the function answers 503 and says why.
    "not_started" = {
      title     = "a function cannot start"
      condition = "A function logged not-started"
      filter    = "severity>=CRITICAL AND jsonPayload.event=\"not-started\""
      labels    = {}
      closes    = "86400s"
      every     = "3600s"
      text      = "The message of the log line names the setting or the service."
    }
    # Never with the logins of database.tf: somebody gave a function the owner's address by hand.
    "ledger_login" = {
      title     = "a function may do everything in the ledger"
      condition = "A function logged ledger-login-owns"
      filter    = "severity>=WARNING AND jsonPayload.event=\"ledger-login-owns\""
      labels    = {}
      closes    = "86400s"
      every     = "86400s"
      text      = "Whoever breaks into that function could write intents that sign signs. Give it the login of its own role: docs/deploy.md."
    }
    # One incident for each kind of alarm; the line itself says what is wrong and what to do.
    "freshness" = {
      title     = "changes may go unnoticed"
      condition = "due logged an alarm"
      filter    = "resource.labels.service_name=\"due\" AND severity>=ERROR AND jsonPayload.event=\"alarm\""
      labels    = { alarm = "EXTRACT(jsonPayload.alarm)" }
      closes    = "86400s"
      every     = "3600s"
      text      = "The message of the log line says what is wrong; docs/runbooks/events.md has every alarm by its name. sealwright status shows them first."
    }
  }

  # By name: the log metric that counts signs of life, and for how long none may be missing.
  silence_alerts = {
    # A CRL is published every six hours and is good for seven days: two missed runs leave six days to act.
    "crl_age" = {
      title     = "no CRL was published"
      condition = "No CRL for thirteen hours"
      metric    = google_logging_metric.crl_published.name
      duration  = "46800s"
      period    = "3600s"
      aligner   = "ALIGN_SUM"
      text      = "When the CRL's nextUpdate passes, mail signed with our certificates stops verifying. The log of publish-crl says what stands in the way."
    }
    # Events may be lost; only the sweep finds out. It begins every six hours: two missed ones are reason to look.
    "sweep_age" = {
      title     = "the directory was not read whole"
      condition = "No whole sweep for thirteen hours"
      metric    = google_logging_metric.sweep_whole.name
      duration  = "46800s"
      period    = "3600s"
      aligner   = "ALIGN_SUM"
      text      = "Joiners and leavers whose event was lost are not found, and users in no list do not depart. sealwright status says why the last sweep was not whole; so does the log of sweep (sweep-not-whole, sweep-hindered). If the directory really has lost that many users, sealwright sweep start --accept-shrunk."
    }
    # The one that watches the others: without due nothing is measured, and nobody is looked at whose time has come.
    "due_silent" = {
      title     = "due does not run"
      condition = "No freshness line for fifteen minutes"
      metric    = google_logging_metric.freshness["due-users"].name
      duration  = "900s"
      period    = "300s"
      aligner   = "ALIGN_COUNT"
      text      = "Cloud Scheduler calls due every minute; look at the job's last result and at the log of due."
    }
  }

  # By name: a number of a subscription that grows while messages wait.
  waiting_alerts = {
    "dead_letters" = {
      title        = "dead letters"
      condition    = "An event could not be handled in ten attempts"
      metric       = "num_undelivered_messages"
      subscription = google_pubsub_subscription.dead_letters.name
      threshold    = 0
      duration     = "0s"
      text         = "Each message names its subscription and its last error is in that function's log. The users concerned are looked at again by the sweep. sealwright events dead list shows what they asked for; docs/runbooks/events.md has the rest."
    }
    # Events that wait: the functions do not keep up, or fail.
    "undelivered" = {
      title        = "events wait"
      condition    = "The oldest event waits for half an hour"
      metric       = "oldest_unacked_message_age"
      subscription = google_pubsub_subscription.push["directory-events-push"].name
      threshold    = 1800
      duration     = "300s"
      text         = "Pub/Sub holds events that directory-event has not acknowledged; its log says why. During a rollout a few minutes are usual."
    }
    # A revocation is to be public within a minute.
    "crl_undelivered" = {
      title        = "requests for a CRL wait"
      condition    = "The oldest request for a CRL waits for ten minutes"
      metric       = "oldest_unacked_message_age"
      subscription = google_pubsub_subscription.push["crl-requests-push"].name
      threshold    = 600
      duration     = "300s"
      text         = "Pub/Sub holds requests that publish-crl has not acknowledged: revocations are not public. Its log says why; docs/runbooks/ca.md has the findings."
    }
  }
}

resource "google_monitoring_alert_policy" "logged" {
  for_each = local.logged_alerts

  display_name          = "Sealwright: ${each.value.title}"
  combiner              = "OR"
  notification_channels = local.notification_channels

  conditions {
    display_name = each.value.condition
    condition_matched_log {
      filter           = "resource.type=\"cloud_run_revision\" AND ${each.value.filter}"
      label_extractors = each.value.labels
    }
  }

  alert_strategy {
    auto_close = each.value.closes
    notification_rate_limit {
      period = each.value.every
    }
  }

  documentation {
    content = each.value.text
  }

  depends_on = [google_project_service.apis]
}

resource "google_monitoring_alert_policy" "silence" {
  for_each = local.silence_alerts

  display_name          = "Sealwright: ${each.value.title}"
  combiner              = "OR"
  notification_channels = local.notification_channels

  conditions {
    display_name = each.value.condition
    condition_absent {
      filter   = "metric.type=\"logging.googleapis.com/user/${each.value.metric}\" AND resource.type=\"cloud_run_revision\""
      duration = each.value.duration
      aggregations {
        alignment_period   = each.value.period
        per_series_aligner = each.value.aligner
      }
    }
  }

  documentation {
    content = each.value.text
  }
}

resource "google_monitoring_alert_policy" "waiting" {
  for_each = local.waiting_alerts

  display_name          = "Sealwright: ${each.value.title}"
  combiner              = "OR"
  notification_channels = local.notification_channels

  conditions {
    display_name = each.value.condition
    condition_threshold {
      filter          = "metric.type=\"pubsub.googleapis.com/subscription/${each.value.metric}\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${each.value.subscription}\""
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.threshold
      duration        = each.value.duration
      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  documentation {
    content = each.value.text
  }
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

# Each had a block of its own once; what is there stays.
moved {
  from = google_monitoring_alert_policy.revocation_status
  to   = google_monitoring_alert_policy.logged["revocation_status"]
}

moved {
  from = google_monitoring_alert_policy.ca_finding
  to   = google_monitoring_alert_policy.logged["ca_finding"]
}

moved {
  from = google_monitoring_alert_policy.certificate_expiring
  to   = google_monitoring_alert_policy.logged["certificate_expiring"]
}

moved {
  from = google_monitoring_alert_policy.not_started
  to   = google_monitoring_alert_policy.logged["not_started"]
}

moved {
  from = google_monitoring_alert_policy.freshness
  to   = google_monitoring_alert_policy.logged["freshness"]
}

moved {
  from = google_monitoring_alert_policy.crl_age
  to   = google_monitoring_alert_policy.silence["crl_age"]
}

moved {
  from = google_monitoring_alert_policy.sweep_age
  to   = google_monitoring_alert_policy.silence["sweep_age"]
}

moved {
  from = google_monitoring_alert_policy.due_silent
  to   = google_monitoring_alert_policy.silence["due_silent"]
}

moved {
  from = google_monitoring_alert_policy.dead_letters
  to   = google_monitoring_alert_policy.waiting["dead_letters"]
}

moved {
  from = google_monitoring_alert_policy.undelivered
  to   = google_monitoring_alert_policy.waiting["undelivered"]
}
