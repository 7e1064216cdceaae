# Topics and push subscriptions. Ours, and not ones that a trigger makes: dead letters, backoff, deadlines and expiry
# are then ours too.

locals {
  topics = ["directory-events", "crl-requests", "dead-letters"]

  # https://cloud.google.com/pubsub/docs/access-control#service_agents
  pubsub_service_agent = "serviceAccount:service-${var.project.number}@gcp-sa-pubsub.iam.gserviceaccount.com"

  push_subscriptions = {
    "directory-events-push" = { topic = "directory-events", function = "directory-event" }
    "crl-requests-push"     = { topic = "crl-requests", function = "publish-crl" }
  }

  # The log sink publishes to directory-events as well (log-sink.tf).
  topic_publishers = {
    "directory-events" = ["directory-watch", "due", "sweep", "admin"]
    "crl-requests"     = ["directory-event", "due", "admin", "set-up"]
  }
}

resource "google_pubsub_topic" "topic" {
  for_each = toset(local.topics)

  name = each.key

  message_storage_policy {
    allowed_persistence_regions = [var.project.region]
  }

  depends_on = [google_project_service.apis]
}

resource "google_pubsub_subscription" "push" {
  for_each = local.push_subscriptions

  name  = each.key
  topic = google_pubsub_topic.topic[each.value.topic].id

  # Also how long a push waits for its answer; the most there is. The functions end sooner (functions.tf).
  ack_deadline_seconds       = 600
  message_retention_duration = "604800s"

  push_config {
    push_endpoint = "${local.urls[each.value.function]}/"
    oidc_token {
      service_account_email = google_service_account.acting["push"].email
      # The function checks it. Unset it would be the endpoint, with the slash.
      audience = local.urls[each.value.function]
    }
  }

  # Without one, a message that fails is repeated at once, over and over.
  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.topic["dead-letters"].id
    max_delivery_attempts = 10
  }

  # Never. A subscription that is idle for 31 days would be deleted otherwise.
  expiration_policy {
    ttl = ""
  }

  depends_on = [google_cloud_run_v2_service_iam_binding.invokers]
}

# Holds dead letters until somebody has looked (docs/deploy.md); a topic without a subscription would lose them.
resource "google_pubsub_subscription" "dead_letters" {
  name                       = "dead-letters"
  topic                      = google_pubsub_topic.topic["dead-letters"].id
  ack_deadline_seconds       = 60
  message_retention_duration = "2678400s"
  retain_acked_messages      = false

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_topic_iam_binding" "crl_requests_publishers" {
  topic = google_pubsub_topic.topic["crl-requests"].id
  role  = "roles/pubsub.publisher"
  members = [
    for name in local.topic_publishers["crl-requests"] : "serviceAccount:${local.emails[name]}"
  ]

  depends_on = [google_service_account.function, google_service_account.acting]
}

resource "google_pubsub_topic_iam_binding" "directory_events_publishers" {
  topic = google_pubsub_topic.topic["directory-events"].id
  role  = "roles/pubsub.publisher"
  members = concat(
    [for name in local.topic_publishers["directory-events"] : "serviceAccount:${local.emails[name]}"],
    [google_logging_organization_sink.directory.writer_identity],
  )

  depends_on = [google_service_account.function]
}

# Pub/Sub itself moves what cannot be delivered: it publishes to the one and acknowledges on the other.
resource "google_pubsub_topic_iam_binding" "dead_letters_publishers" {
  topic   = google_pubsub_topic.topic["dead-letters"].id
  role    = "roles/pubsub.publisher"
  members = [local.pubsub_service_agent]
}

resource "google_pubsub_subscription_iam_member" "forwards_dead_letters" {
  for_each = local.push_subscriptions

  subscription = google_pubsub_subscription.push[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_service_agent
}

# An admin looks at dead letters, has them delivered again or drops them (sealwright events dead).
resource "google_pubsub_subscription_iam_member" "reads_dead_letters" {
  subscription = google_pubsub_subscription.dead_letters.name
  role         = "roles/pubsub.subscriber"
  member       = google_service_account.function["admin"].member
}
