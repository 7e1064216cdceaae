# The two public addresses, on names the customer owns.
#
#   http://PKI/ocsp…    → the OCSP responder, GET and POST.
#   http://PKI/…        → the bucket. Plain http and no redirect: whoever fetches a CRL to check a certificate must not
#                         need one to do so, and many clients follow no redirect.
#   https://KACLS/v1/…  → the key service. https only.
#
# Two addresses, so that either may move somewhere else without the other.

resource "google_compute_global_address" "pki" {
  name = "sealwright-pki"

  depends_on = [google_project_service.apis]
}

# No CDN: Cloud Storage's own cache obeys the objects' Cache-Control, and each further cache would hide a revocation longer.
resource "google_compute_backend_bucket" "pki" {
  name        = "sealwright-pki"
  bucket_name = google_storage_bucket.public.name
  enable_cdn  = false
}

resource "google_compute_region_network_endpoint_group" "ocsp" {
  name                  = "sealwright-ocsp"
  region                = var.project.region
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = google_cloudfunctions2_function.function["ocsp"].name
  }
}

resource "google_compute_backend_service" "ocsp" {
  name                  = "sealwright-ocsp"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"

  backend {
    group = google_compute_region_network_endpoint_group.ocsp.id
  }
}

resource "google_compute_url_map" "pki" {
  name            = "sealwright-pki"
  default_service = google_compute_backend_bucket.pki.id

  host_rule {
    hosts        = [var.public_hosts.pki]
    path_matcher = "pki"
  }

  path_matcher {
    name            = "pki"
    default_service = google_compute_backend_bucket.pki.id

    # Printed into certificates as http://PKI/ocsp; a GET has the question after a slash.
    path_rule {
      paths   = ["/ocsp", "/ocsp/*"]
      service = google_compute_backend_service.ocsp.id
    }
  }
}

resource "google_compute_target_http_proxy" "pki" {
  name    = "sealwright-pki"
  url_map = google_compute_url_map.pki.id
}

resource "google_compute_global_forwarding_rule" "pki" {
  name                  = "sealwright-pki"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.pki.id
  port_range            = "80"
  target                = google_compute_target_http_proxy.pki.id
}

resource "google_compute_global_address" "key_service" {
  name = "sealwright-key-service"

  depends_on = [google_project_service.apis]
}

resource "google_compute_region_network_endpoint_group" "key_service" {
  name                  = "sealwright-key-service"
  region                = var.project.region
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = google_cloudfunctions2_function.function["key-service"].name
  }
}

resource "google_compute_backend_service" "key_service" {
  name                  = "sealwright-key-service"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"

  backend {
    group = google_compute_region_network_endpoint_group.key_service.id
  }

  # Addresses, paths and statuses; tokens and keys travel in bodies, which are not logged.
  log_config {
    enable      = true
    sample_rate = 1
  }
}

resource "google_compute_url_map" "key_service" {
  name            = "sealwright-key-service"
  default_service = google_compute_backend_service.key_service.id
}

# Issued once the name points at the address; until then https fails (docs/deploy.md).
resource "google_compute_managed_ssl_certificate" "key_service" {
  name = "sealwright-key-service"

  managed {
    domains = [var.public_hosts.key_service]
  }
}

resource "google_compute_ssl_policy" "modern" {
  name            = "sealwright-modern"
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"

  depends_on = [google_project_service.apis]
}

resource "google_compute_target_https_proxy" "key_service" {
  name             = "sealwright-key-service"
  url_map          = google_compute_url_map.key_service.id
  ssl_certificates = [google_compute_managed_ssl_certificate.key_service.id]
  ssl_policy       = google_compute_ssl_policy.modern.id
}

resource "google_compute_global_forwarding_rule" "key_service" {
  name                  = "sealwright-key-service"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.key_service.id
  port_range            = "443"
  target                = google_compute_target_https_proxy.key_service.id
}
