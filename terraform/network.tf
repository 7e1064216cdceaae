# One private network: the database has an address in it, and functions reach each other through it, so that a
# function that takes internal calls only can be called by another one.

resource "google_compute_network" "sealwright" {
  name                    = "sealwright"
  auto_create_subnetworks = false

  depends_on = [google_project_service.apis]
}

# Direct VPC egress takes two addresses an instance at times of deployment; 1024 are plenty.
resource "google_compute_subnetwork" "functions" {
  name                     = "functions"
  network                  = google_compute_network.sealwright.id
  region                   = var.project.region
  ip_cidr_range            = "10.20.0.0/22"
  private_ip_google_access = true
}

# Where Google's own services (the database) get their addresses.
resource "google_compute_global_address" "services" {
  name          = "sealwright-services"
  network       = google_compute_network.sealwright.id
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  address       = "10.21.0.0"
  prefix_length = 20
}

resource "google_service_networking_connection" "services" {
  network                 = google_compute_network.sealwright.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.services.name]
}

# Only calls to private ranges leave through the VPC, and private.googleapis.com counts as one. With run.app answered by
# its addresses, a call from one function to another is internal, and Gmail, the directory and identity providers are
# still reached without a NAT. https://cloud.google.com/run/docs/securing/private-networking
resource "google_dns_managed_zone" "run_app" {
  name        = "run-app"
  dns_name    = "run.app."
  description = "Sends calls between functions through private.googleapis.com"
  visibility  = "private"

  private_visibility_config {
    networks {
      network_url = google_compute_network.sealwright.id
    }
  }
}

resource "google_dns_record_set" "run_app" {
  managed_zone = google_dns_managed_zone.run_app.name
  name         = "*.run.app."
  type         = "A"
  ttl          = 300
  rrdatas      = ["199.36.153.8", "199.36.153.9", "199.36.153.10", "199.36.153.11"]
}
