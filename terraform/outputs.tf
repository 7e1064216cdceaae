# What an admin enters elsewhere; docs/deploy.md says where.

output "dns_records" {
  description = "Records to make in the customer's DNS. The certificate of the key service is issued once its record answers."
  value = [
    { name = var.public_hosts.pki, type = "A", value = google_compute_global_address.pki.address },
    { name = var.public_hosts.key_service, type = "A", value = google_compute_global_address.key_service.address },
  ]
}

output "domain_wide_delegation" {
  description = "Admin console, Security, API controls, domain-wide delegation: this client id with these scopes and no others."
  value = {
    client_id = google_service_account.acting["gmail"].unique_id
    scopes    = ["https://www.googleapis.com/auth/gmail.settings.basic"]
  }
}

output "directory_reader" {
  description = "Admin console, Account, Admin roles: this account gets the custom read-only role. It needs no delegation, unless workspace.reports_admin names somebody."
  value = {
    email     = google_service_account.acting["directory"].email
    unique_id = google_service_account.acting["directory"].unique_id
  }
}

output "key_service_url" {
  description = "Admin console, Security, client-side encryption: the address of the external key service. Rules of the policy file name the same one."
  value       = local.key_service_url
}

output "pki_url" {
  description = "Base of the addresses printed into certificates; what the set-up of the CA asks for."
  value       = "http://${var.public_hosts.pki}/"
}

output "admin_url" {
  description = "The admin function."
  value       = local.urls["admin"]
}

# Deterministic addresses are computed, not read. Both lists must agree; docs/deploy.md has the command that compares.
output "function_urls" {
  description = "Address of each function, as computed and as Google reports it."
  value = {
    for name in local.function_names : name => {
      computed = local.urls[name]
      reported = google_cloudfunctions2_function.function[name].service_config[0].uri
    }
  }
}

output "ca_key_secret" {
  description = "Full name of the secret that the set-up of the CA puts the issuing key into."
  value       = google_secret_manager_secret.secret["issuing-ca-key"].id
}

output "migration_account" {
  description = "The account to delegate gmail.insert to in the Admin console; its client id. Null when nobody migrates."
  value = length(var.migration.members) == 0 ? null : {
    email     = google_service_account.migration[0].email
    client_id = google_service_account.migration[0].unique_id
  }
}
