# The deployed functions: Cloud Run functions (2nd gen), one per entry of local.function_names, each as an account of
# its own. What they are told is in settings.tf.

locals {
  # One request at a time below one CPU is Cloud Run's rule, so each has one. `connections` of the database are four an
  # instance (shared/adapters/ledger/postgres.ts); max_connections in database.tf is for all instances, twice, because a
  # new revision starts before the old one ends. Push has no other throttle than instances times concurrency.
  functions = {
    # Google repeats a notification that is not answered in time; anybody may call, so it is kept small.
    "directory-watch" = { memory = "512Mi", concurrency = 20, min = 0, max = 3, timeout_seconds = 30, ingress = "ALLOW_ALL" }
    # Makes RSA keys. A push waits for at most 600 s (pubsub.tf), so the function ends before that.
    "directory-event" = { memory = "1Gi", concurrency = 4, min = 0, max = 10, timeout_seconds = 540, ingress = "ALLOW_INTERNAL_ONLY" }
    # A run at a time is enough: the scheduler never starts a second one of a job.
    "due" = { memory = "512Mi", concurrency = 1, min = 0, max = 1, timeout_seconds = 120, ingress = "ALLOW_INTERNAL_ONLY" }
    # One at a time; a sweep that is not through goes on a minute later. Holds twenty-seven bytes for each user of the ledger.
    "sweep" = { memory = "512Mi", concurrency = 1, min = 0, max = 1, timeout_seconds = 540, ingress = "ALLOW_INTERNAL_ONLY" }
    # Only other functions call it, through the VPC.
    "sign" = { memory = "1Gi", concurrency = 8, min = 0, max = 4, timeout_seconds = 300, ingress = "ALLOW_INTERNAL_ONLY" }
    # Both are through with a CRL of a million entries in about 200 MB (docs/scale.md); the rest is for the CPU that comes with it.
    "publish-crl" = { memory = "1Gi", concurrency = 1, min = 0, max = 2, timeout_seconds = 300, ingress = "ALLOW_INTERNAL_ONLY" }
    # Admins come from wherever they are; IAM decides.
    "admin" = { memory = "512Mi", concurrency = 8, min = 0, max = 2, timeout_seconds = 120, ingress = "ALLOW_ALL" }
    # Somebody waits for each answer with a mail open, so one instance is always warm. Reached through the load balancer only.
    "key-service" = { memory = "512Mi", concurrency = 8, min = 1, max = 10, timeout_seconds = 30, ingress = "ALLOW_INTERNAL_AND_GCLB" }
    # Anybody asks, through the load balancer; holds no key and writes nothing, so many questions at once are no risk.
    "ocsp" = { memory = "512Mi", concurrency = 80, min = 0, max = 2, timeout_seconds = 30, ingress = "ALLOW_INTERNAL_AND_GCLB" }
  }

  # Who may call each function. The three that anybody may call need no IAM: a notification from Google's
  # directory and a call from Gmail in somebody's browser carry other tokens, and an OCSP answer is public.
  invokers = {
    "directory-watch" = ["allUsers"]
    "directory-event" = ["serviceAccount:${local.emails["push"]}"]
    "due"             = ["serviceAccount:${local.emails["scheduler"]}"]
    "sweep"           = ["serviceAccount:${local.emails["scheduler"]}"]
    "sign"            = ["serviceAccount:${local.emails["directory-event"]}", "serviceAccount:${local.emails["publish-crl"]}"]
    "publish-crl"     = ["serviceAccount:${local.emails["push"]}", "serviceAccount:${local.emails["scheduler"]}"]
    "admin"           = var.admins.invokers
    "key-service"     = ["allUsers"]
    "ocsp"            = ["allUsers"]
  }
}

resource "google_storage_bucket" "sources" {
  name                        = "${var.project.id}-function-sources"
  location                    = var.project.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = true
  }

  depends_on = [google_project_service.apis]
}

# Named after its bytes: the archive of unchanged code is the same bytes (bin/build/zip.ts), so a function is deployed
# again exactly when its code has changed.
resource "google_storage_bucket_object" "source" {
  for_each = toset(local.function_names)

  bucket = google_storage_bucket.sources.name
  name   = "${each.key}-${filesha256("${path.module}/${var.build_folder}/${each.key}.zip")}.zip"
  source = "${path.module}/${var.build_folder}/${each.key}.zip"
}

resource "google_artifact_registry_repository" "functions" {
  repository_id = "functions"
  location      = var.project.region
  format        = "DOCKER"
  description   = "Containers built from the functions' sources"

  depends_on = [google_project_service.apis]
}

resource "google_cloudfunctions2_function" "function" {
  for_each = local.functions

  name     = each.key
  location = var.project.region

  build_config {
    runtime = "nodejs24"
    # A name that a module can export; bin/build/bundle.ts gives it to every bundle.
    entry_point       = "handle"
    service_account   = google_service_account.build.id
    docker_repository = google_artifact_registry_repository.functions.id

    source {
      storage_source {
        bucket = google_storage_bucket.sources.name
        object = google_storage_bucket_object.source[each.key].name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.function[each.key].email
    available_cpu                    = "1"
    available_memory                 = each.value.memory
    max_instance_request_concurrency = each.value.concurrency
    min_instance_count               = each.value.min
    max_instance_count               = each.value.max
    timeout_seconds                  = each.value.timeout_seconds
    ingress_settings                 = each.value.ingress
    all_traffic_on_latest_revision   = true
    environment_variables            = merge(local.common_settings, local.settings[each.key])

    # The database and the other functions are reached through the VPC, everything else directly (network.tf).
    direct_vpc_egress = "VPC_EGRESS_PRIVATE_RANGES_ONLY"
    direct_vpc_network_interface {
      network    = google_compute_network.sealwright.id
      subnetwork = google_compute_subnetwork.functions.id
    }

    # Versions are numbers, never latest: which password and which policy are in force is part of the revision.
    # Each function has a login of its own; until the logins exist (database.tf) none has any.
    dynamic "secret_environment_variables" {
      for_each = contains(local.ledger_logins, each.key) ? [1] : []
      content {
        key        = "SEALWRIGHT_DATABASE_URL"
        project_id = var.project.id
        secret     = google_secret_manager_secret.secret["${each.key}-database-url"].secret_id
        version    = google_secret_manager_secret_version.function_database_url[each.key].version
      }
    }

    secret_volumes {
      mount_path = local.ledger_ca_folder
      project_id = var.project.id
      secret     = google_secret_manager_secret.secret["database-ca"].secret_id
      versions {
        version = google_secret_manager_secret_version.database_ca.version
        path    = "server-ca.pem"
      }
    }

    dynamic "secret_volumes" {
      for_each = contains(local.secret_readers["policy"], each.key) ? [1] : []
      content {
        mount_path = local.policy_folder
        project_id = var.project.id
        secret     = google_secret_manager_secret.secret["policy"].secret_id
        versions {
          version = google_secret_manager_secret_version.policy.version
          path    = "policy.yaml"
        }
      }
    }
  }

  # A revision starts only if its account can read what is mounted, and is built only if the build account may build.
  depends_on = [
    google_project_service.apis,
    google_secret_manager_secret_iam_binding.readers,
    google_storage_bucket_iam_member.build_reads_sources,
    google_artifact_registry_repository_iam_member.build_writes,
    google_project_iam_member.build_logs,
  ]
}

# Authoritative: whoever else was let in by hand is removed at the next apply.
resource "google_cloud_run_v2_service_iam_binding" "invokers" {
  for_each = local.invokers

  location = var.project.region
  name     = google_cloudfunctions2_function.function[each.key].name
  role     = "roles/run.invoker"
  members  = each.value
}
